"""Editing what an owner says of a device: its location and its group.

Its name is fixed at pairing.
"""

import logging
from dataclasses import dataclass

from services.api.logic.devices import get_device, no_such_device
from services.api.logic.group_membership import hold_open, no_such_group
from services.api.logic.ids import check_group_id
from services.api.logic.pairing_request import check_location
from services.api.logic.pairing_truth import ATTEMPTS, EndedMeanwhile, Stores, contended
from services.api.logic.twin_tags import write_tags
from services.api.logic.versions import require_unchanged, tag_of
from shared.errors import NotFound
from shared.schemas.documents import DeviceDocument

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DeviceChanges:
    """What is to be changed; None leaves it as it is, "" leaves the device without."""

    location: str | None = None
    group_id: str | None = None


def tag(document: DeviceDocument) -> str:
    """The version of what people may edit."""
    return tag_of(document.location, document.group_id)


async def edit_device(
    stores: Stores,
    user_id: str,
    device_id: str,
    wanted: DeviceChanges,
    if_match: str | None = None,
) -> DeviceDocument:
    """The device after the change; its twin's tags follow.

    Raises InvalidRequest, NotFound (device or group), Changed, Conflict and Unavailable. What is
    as wanted already is no lost update, so a call that was interrupted can be repeated as it was,
    and completes the tags.
    """
    if wanted.location:
        check_location(wanted.location)
    if wanted.group_id:
        check_group_id(wanted.group_id)
    document = await _write(stores, user_id, device_id, wanted, if_match)
    if wanted.group_id is not None:
        await _tag(stores, document)
    return document


async def _write(
    stores: Stores, user_id: str, device_id: str, wanted: DeviceChanges, if_match: str | None
) -> DeviceDocument:
    """In two steps where it goes to another group; see `group_membership`."""
    for _ in range(ATTEMPTS):
        found = await stores.devices.get_with_etag(user_id, device_id)
        if found is None:
            raise no_such_device()
        document, etag = found
        if document.phase != "paired":
            await get_device(stores.devices, stores.gateways, user_id, device_id)
        changed = _changed(document, wanted)
        if tag(changed) == tag(document):
            return document
        require_unchanged(if_match, tag(document))
        group_id = changed.group_id
        if group_id and group_id != document.group_id:
            if document.joining != group_id:
                await stores.devices.put(document.model_copy(update={"joining": group_id}), etag)
                continue
            if not await hold_open(stores.groups, user_id, group_id):
                raise no_such_group()
        if await stores.devices.put(changed, etag):
            return changed
    raise contended()


def _changed(document: DeviceDocument, wanted: DeviceChanges) -> DeviceDocument:
    changes: dict[str, object] = {}
    if wanted.location is not None:
        changes["location"] = wanted.location
    if wanted.group_id is not None:
        changes |= {"group_id": wanted.group_id, "joining": ""}
    return document.model_copy(update=changes)


async def _tag(stores: Stores, document: DeviceDocument) -> None:
    try:
        await write_tags(stores, document)
    except EndedMeanwhile:
        raise no_such_device() from None
    except NotFound:
        log.info("IoT Hub does not know the gateway any more")
