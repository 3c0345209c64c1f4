"""Groups of an account's devices: making, editing and deleting them.

A name is for people and need not be the only one of its kind; ids are.
"""

import asyncio
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass

from services.api.logic.device_edit import DeviceChanges, edit_device
from services.api.logic.devices import get_device
from services.api.logic.group_membership import (
    NoSuchGroup,
    contended,
    get_group,
    no_such_group,
)
from services.api.logic.ids import check_group_id
from services.api.logic.pairing_truth import ATTEMPTS, Stores
from services.api.logic.versions import require_unchanged, tag_of
from services.api.store.group_members import GroupMembers
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.documents import GroupDocument

MAX_GROUPS = 1000  # listed whole, by contract
PAGE = 100
AT_ONCE = 4  # each device that moves asks IoT Hub, which takes few such calls a second
MOVE_SECONDS = 20.0  # of one call; repeating it goes on


@dataclass(frozen=True)
class GroupChanges:
    """What of a group is to be changed; None leaves it as it is."""

    name: str | None = None
    client_name: str | None = None
    email: str | None = None
    telephone: str | None = None


def tag(group: GroupDocument) -> str:
    """The version of what people may edit."""
    return tag_of(group.name, group.client_name, group.email, group.telephone)


async def create(
    stores: Stores, user_id: str, order_id: str, wanted: GroupChanges
) -> GroupDocument:
    """A new group; the same order makes it once. Raises InvalidRequest, Conflict where the
    account has MAX_GROUPS (a few more, where they are made at the same time), Unavailable."""
    group = _changed(GroupDocument(id=_id_of(order_id), user_id=user_id), wanted)
    if await stores.groups.count(user_id) >= MAX_GROUPS:
        raise Conflict(f"An account has {MAX_GROUPS} groups at most; delete one first.")
    if await stores.groups.create(group):
        return group
    return await get_group(stores.groups, user_id, group.id)


async def update(
    stores: Stores, user_id: str, group_id: str, wanted: GroupChanges, if_match: str | None
) -> GroupDocument:
    """The group after the change.

    Raises InvalidRequest, NotFound, Changed, Conflict, Unavailable.
    """
    for _ in range(ATTEMPTS):
        found = await stores.groups.get_with_etag(user_id, check_group_id(group_id))
        if found is None:
            raise no_such_group()
        group, etag = found
        require_unchanged(if_match, tag(group))
        changed = _changed(group, wanted)
        if changed == group or await stores.groups.replace(changed, etag):
            return changed
    raise contended()


async def delete(
    stores: Stores,
    members: GroupMembers,
    *,
    user_id: str,
    group_id: str,
    move_to: str | None,
    if_match: str | None,
) -> None:
    """Delete a group. Its devices go to the group `move_to`, "" being none; where that is None, a
    group with devices is not deleted.

    Raises InvalidRequest, NotFound, Changed, Unavailable, and Conflict with the number of devices
    where it is not deleted. Calling again completes what was interrupted. See
    `services.api.logic.group_membership` on who puts devices into it at the same time.
    """
    if move_to == group_id:
        raise InvalidRequest("move_to must be another group than the one to be deleted.")
    if move_to:
        await get_group(stores.groups, user_id, move_to)
    deadline = time.monotonic() + MOVE_SECONDS
    for _ in range(ATTEMPTS):
        etag = await _mark(stores, user_id, group_id, if_match)
        await _turn_away(stores, members, user_id, group_id)
        if move_to is not None:
            await _move(
                stores,
                members,
                user_id=user_id,
                group_id=group_id,
                move_to=move_to,
                deadline=deadline,
            )
        await _drop_ended(stores, members, user_id, group_id)
        if left := await members.count(user_id, group_id):
            raise _not_empty(left, moving=move_to is not None)
        if await stores.groups.delete(user_id, group_id, etag):
            return
    raise contended()


def _id_of(order_id: str) -> str:
    return f"g{uuid.UUID(order_id).hex[:16]}"


def _changed(group: GroupDocument, wanted: GroupChanges) -> GroupDocument:
    changes = {name: value for name, value in vars(wanted).items() if value is not None}
    if not changes.get("name", group.name).strip():
        raise InvalidRequest("A group's name needs a character that can be seen.")
    return group.model_copy(update=changes)


async def _mark(stores: Stores, user_id: str, group_id: str, if_match: str | None) -> str:
    """The ETag of the group, marked as being deleted."""
    for _ in range(ATTEMPTS):
        found = await stores.groups.get_with_etag(user_id, check_group_id(group_id))
        if found is None:
            raise no_such_group()
        group, etag = found
        require_unchanged(if_match, tag(group))
        if group.deleting:
            return etag
        marked = await stores.groups.replace(group.model_copy(update={"deleting": True}), etag)
        if marked is not None:
            return marked
    raise contended()


async def _turn_away(stores: Stores, members: GroupMembers, user_id: str, group_id: str) -> None:
    """Whoever is joining finds that it must ask anew, or was interrupted long ago."""
    while found := await members.joining(user_id, group_id, PAGE):
        for device_id in found:
            entry = await stores.devices.get_with_etag(user_id, device_id)
            if entry and entry[0].joining == group_id:
                await stores.devices.put(entry[0].model_copy(update={"joining": ""}), entry[1])


async def _move(
    stores: Stores,
    members: GroupMembers,
    *,
    user_id: str,
    group_id: str,
    move_to: str,
    deadline: float,
) -> None:
    limit = asyncio.Semaphore(AT_ONCE)

    async def move(device_id: str) -> None:
        async with limit:
            try:
                await edit_device(stores, user_id, device_id, DeviceChanges(group_id=move_to))
            except NoSuchGroup:
                raise
            except NotFound:  # it was unpaired, or its entry was a leftover
                return

    while found := await members.inside(user_id, group_id, PAGE):
        if time.monotonic() > deadline:
            return
        moved = await asyncio.gather(*map(move, found), return_exceptions=True)
        for error in moved:
            if error is not None:
                raise error


async def _drop_ended(stores: Stores, members: GroupMembers, user_id: str, group_id: str) -> None:
    """What an interrupted unpairing left is in no group."""
    for device_id in await members.unsettled(user_id, group_id, PAGE):
        with suppress(NotFound):
            await get_device(stores.devices, stores.gateways, user_id, device_id)


def _not_empty(left: int, *, moving: bool) -> Conflict:
    if moving:
        return Conflict(f"Devices are still in this group ({left}); repeat the call to go on.")
    return Conflict(
        f"Devices are in this group ({left}); say with move_to where they go, or move them first."
    )
