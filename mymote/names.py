"""Devices and groups as people call them: by id, by its beginning, or by name."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mymote.failures import NOT_FOUND, Failure, usage
from mymote.text import escaped

if TYPE_CHECKING:
    from mymote.api import Api, Entity

DEVICE_ID = re.compile(r"X400_[0-9a-f]{40}\Z")
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
    groups: list[Entity] = api.call("listGroups")
    same = [group for group in groups if group["id"] == given]
    named = [group for group in groups if group["name"] == given]
    return str(_one(same or named, given, "group", "mymote group list", "id")["id"])


def _one(found: "Sequence[Entity]", given: str, kind: str, lister: str, key: str) -> "Entity":
    if not found:
        raise Failure(
            f"This account has no {kind} '{escaped(given)}', by id or name; see `{lister}`.",
            NOT_FOUND,
        )
    if len(found) > 1:
        listed = "\n".join(f"  {each[key]}  {escaped(each['name'])}" for each in found[:SHOWN])
        raise usage(f"'{escaped(given)}' means {len(found)} {kind}s; give the id of one:\n{listed}")
    return found[0]
