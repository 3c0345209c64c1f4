"""Devices, groups, apps as people call them: by id, by its beginning, by name or version."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mymote.failures import NOT_FOUND, Failure, usage
from mymote.text import escaped

if TYPE_CHECKING:
    from mymote.api import Api, Entity

DEVICE_ID = re.compile(r"X400_[0-9a-f]{40}\Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")  # of an app or a job
JOB_ID_BEGINNING = re.compile(r"[0-9a-f-]{6,36}\Z")  # as the api takes it
BEGINNING = 6  # characters of an id, where names may be meant as well
SHOWN = 10  # of those that a name may mean


def device_id(api: "Api", given: str) -> str:
    """The id of the device that `given` means. Raises Failure where none or several are meant."""
    if DEVICE_ID.match(given):
        return given
    found = [each["device"] for each in api.each("listDevices", query={"search": given})]
    named = [device for device in found if device["name"] == given]
    begun = [device for device in found if device["device_id"].startswith(given)]
    meant = _one(named or begun, given, "device", "mymote device list", "device_id")
    return str(meant["device_id"])


def group_id(api: "Api", given: str) -> str:
    """The id of the group that `given` means. Raises Failure where none or several are meant."""
    meant = _meant(api.call("listGroups"), given)
    return str(_one(meant, given, "group", "mymote group list", "id")["id"])


def app_id(api: "Api", given: str, *, create: bool = False) -> str:
    """The id of the app that `given` means; with `create`, of a new one where none is meant.

    Raises Failure where none or several are meant.
    """
    if UUID.match(given):
        return given
    meant = _meant(list(api.each("listApps")), given)
    if create and not meant:
        return str(api.call("createApp", json={"name": given})["id"])
    return str(_one(meant, given, "app", "mymote app list", "id")["id"])


def job_id(api: "Api", given: str) -> str:
    """The id of the job that `given` means. Raises Failure where none or several are meant."""
    if UUID.match(given):
        return given
    if not JOB_ID_BEGINNING.match(given):
        raise usage(
            f"'{escaped(given)}' is no job's id: give it whole or its first {BEGINNING} characters "
            "at least, as `mymote job list` shows them."
        )
    found = list(api.each("listJobs", query={"id": given}, limit=SHOWN + 1))
    return str(_one(found, given, "job", "mymote job list", "id")["id"])


def app_version(api: "Api", app_id: str, given: str) -> "Entity":
    """The version that `given` means, an id or a number. Raises Failure where there is none."""
    for version in api.each("listAppVersions", appid=app_id):
        if given in (version["id"], version["version"]):
            return version
    raise Failure(
        f"This app has no version '{escaped(given)}'; see `mymote app versions {app_id}`.",
        NOT_FOUND,
    )


def firmware(api: "Api", device_id: str, given: str) -> "Entity":
    """The firmware for a device that `given` means: by id, version or name.

    Raises Failure where none or several are meant.
    """
    known: list[Entity] = api.call("listFirmware")
    same = [each for each in known if each["id"] == given]
    if not same:
        type_ = api.call("getDevice", deviceid=device_id)[0]["device"]["type"]
        fits = [each for each in known if not type_ or each["type"] == type_]
        same = [each for each in fits if each["version"] == given]
        same = same or [each for each in fits if each["name"] == given]
    return _one(same or _begun(known, given), given, "firmware", "mymote firmware list", "id")


def _meant(known: "Sequence[Entity]", given: str) -> "list[Entity]":
    """By the whole id, else by name, else by the id's beginning."""
    same = [each for each in known if each["id"] == given]
    named = [each for each in known if each["name"] == given]
    return same or named or _begun(known, given)


def _begun(known: "Sequence[Entity]", given: str) -> "list[Entity]":
    return [each for each in known if len(given) >= BEGINNING and each["id"].startswith(given)]


def _one(found: "Sequence[Entity]", given: str, kind: str, lister: str, key: str) -> "Entity":
    if not found:
        raise Failure(
            f"This account has no {kind} '{escaped(given)}', by id or name; see `{lister}`.",
            NOT_FOUND,
        )
    if len(found) > 1:
        listed = "\n".join(f"  {each[key]}  {_called(each)}" for each in found[:SHOWN])
        raise usage(f"'{escaped(given)}' means several; give the id of one:\n{listed}")
    return found[0]


def _called(entity: "Entity") -> str:
    return escaped(f"{entity['name']} {entity.get('version', '')}".rstrip())
