"""Notifications: looking at them, acknowledging and clearing them.

Ingest creates them and never changes them again. Cleared is a state, no deletion: a replay of
the stream finds it and brings nothing back.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from services.api.logic.ids import check_record_id
from services.api.store.devices import Devices
from services.api.store.groups import Groups
from services.api.store.keyset import Place, place_of
from services.api.store.notification_query import Filter
from services.api.store.notifications import MAX_BATCH, Change, Notifications, Stored
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.documents import Notification
from shared.schemas.messages import Level

State = Literal["new", "acknowledged", "cleared"]
STATES: tuple[State, ...] = ("new", "acknowledged", "cleared")
LEVELS = tuple(Level)

MAX_CHANGED = 1000  # in one call
MAX_IN_GROUP = 10_000  # devices: their ids are part of a query, which is 512 KiB at most
AT_ONCE = 8
ATTEMPTS = 5

# From which states each is reached; what is cleared stays cleared.
REACHED_FROM: dict[State, tuple[State, ...]] = {
    "acknowledged": ("new",),
    "cleared": ("new", "acknowledged"),
}


@dataclass(frozen=True)
class Stores:
    """What this reads and writes, and how long a notification is kept."""

    notifications: Notifications
    devices: Devices
    groups: Groups
    kept: timedelta


@dataclass(frozen=True)
class Wanted:
    """Which notifications; what is not given does not matter."""

    level: int = 0
    device_id: str = ""
    group_id: str = ""
    states: tuple[State, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Order:
    """What is done with notifications, when and by whom."""

    state: State
    at: datetime
    by: str


@dataclass(frozen=True)
class Changed:
    """Of many: how many are changed, stay as they are, are not there, and whether more match."""

    changed: int = 0
    unchanged: int = 0
    missing: int = 0
    more: bool = False


async def page(
    stores: Stores, user_id: str, wanted: Wanted, limit: int, cursor: str = ""
) -> tuple[list[Notification], str]:
    """Some notifications, newest first, and the next page's cursor.

    Raises InvalidRequest, and NotFound for a group that the account does not have.
    """
    matching = await _filter(stores, user_id, wanted)
    found = await stores.notifications.page(user_id, matching, limit + 1, place_of(cursor))
    following = found[limit - 1].place.cursor if len(found) > limit else ""
    return [each.notification for each in found[:limit]], following


async def one(stores: Stores, user_id: str, notification_id: str) -> Notification:
    """Raises InvalidRequest, NotFound."""
    return (await _get(stores, user_id, notification_id)).notification


async def counts(stores: Stores, user_id: str, wanted: Wanted) -> dict[State, dict[Level, int]]:
    """How many there are of each state and level. Raises what `page` does."""
    base = await _filter(stores, user_id, wanted)
    cells = [(state, level) for state in STATES for level in LEVELS]
    numbers = await asyncio.gather(
        *(
            stores.notifications.count(user_id, replace(base, states=(state,), level=level.value))
            for state, level in cells
        )
    )
    found: dict[State, dict[Level, int]] = {state: {} for state in STATES}
    for (state, level), number in zip(cells, numbers, strict=True):
        found[state][level] = number
    return found


async def change(stores: Stores, user_id: str, notification_id: str, order: Order) -> Notification:
    """The notification after it. Asking twice changes nothing: who was first stays.

    Raises InvalidRequest, NotFound, and Conflict for acknowledging what is cleared.
    """
    for _ in range(ATTEMPTS):
        stored = await _get(stores, user_id, notification_id)
        notification = stored.notification
        if notification.state == order.state:
            return notification
        if notification.state not in REACHED_FROM[order.state]:
            raise Conflict(f"This notification is {notification.state} already.")
        if await stores.notifications.change(stored, _change(stores, notification, order)):
            return notification.model_copy(
                update={"state": order.state, "state_at": order.at, "state_by": order.by}
            )
    raise Conflict("Others change this notification all the time; try again.")


async def change_ids(stores: Stores, user_id: str, ids: Sequence[str], order: Order) -> Changed:
    """Change those that the account has. Raises InvalidRequest for an id that can be none."""
    asked = sorted({check_record_id(each) for each in ids})
    found = await stores.notifications.get_many(user_id, asked)
    changed = await _change_all(stores, user_id, found, order)
    return Changed(changed, len(found) - changed, len(asked) - len(found))


async def change_matching(stores: Stores, user_id: str, wanted: Wanted, order: Order) -> Changed:
    """Change what matches and was there when it was ordered, MAX_CHANGED of them at most.

    Raises what `page` does.
    """
    states = tuple(
        each for each in REACHED_FROM[order.state] if not wanted.states or each in wanted.states
    )
    if not states:
        return Changed()
    until = min(wanted.until, order.at) if wanted.until else order.at
    base = await _filter(stores, user_id, replace(wanted, states=states, until=until))
    changed = seen = 0
    behind: Place | None = None
    while room := MAX_CHANGED - seen:
        size = min(MAX_BATCH, room)
        found = await stores.notifications.page(user_id, base, size, behind)
        changed += await _change_all(stores, user_id, found, order)
        seen += len(found)
        if len(found) < size:
            return Changed(changed, seen - changed)
        behind = found[-1].place
    more = await stores.notifications.page(user_id, base, 1, behind)
    return Changed(changed, seen - changed, more=bool(more))


async def _get(stores: Stores, user_id: str, notification_id: str) -> Stored:
    found = await stores.notifications.get(user_id, check_record_id(notification_id))
    if found is None:
        raise NotFound(
            "This account has no notification of this id; GET .../notifications lists those it has."
        )
    return found


async def _filter(stores: Stores, user_id: str, wanted: Wanted) -> Filter:
    return Filter(
        level=wanted.level,
        states=wanted.states,
        device_id=wanted.device_id,
        device_ids=await _group(stores, user_id, wanted) if wanted.group_id else None,
        since=wanted.since,
        until=wanted.until,
    )


async def _group(stores: Stores, user_id: str, wanted: Wanted) -> tuple[str, ...]:
    if await stores.groups.get(user_id, wanted.group_id) is None:
        raise NotFound("This account has no group of this id; GET .../groups lists those it has.")
    inside = await stores.devices.ids_of_group(user_id, wanted.group_id)
    if wanted.device_id:
        return (wanted.device_id,) if wanted.device_id in inside else ()
    if len(inside) > MAX_IN_GROUP:
        raise InvalidRequest(
            f"This group has more than {MAX_IN_GROUP} devices; leave it out, or name a device."
        )
    return tuple(inside)


def _change(stores: Stores, notification: Notification, order: Order) -> Change:
    left = notification.enqueued_at + stores.kept - order.at
    return Change(order.state, order.at, order.by, max(1, int(left.total_seconds())))


async def _change_all(stores: Stores, user_id: str, found: Sequence[Stored], order: Order) -> int:
    """How many changed; those that cannot, or are so already, stay as they are."""
    able = [each for each in found if each.notification.state in REACHED_FROM[order.state]]
    changed = 0
    for start in range(0, len(able), MAX_BATCH):
        batch = able[start : start + MAX_BATCH]
        changes = [(each, _change(stores, each.notification, order)) for each in batch]
        if await stores.notifications.change_together(changes):
            changed += len(batch)
        else:
            changed += await _change_each(stores, user_id, batch, order)
    return changed


async def _change_each(stores: Stores, user_id: str, batch: Sequence[Stored], order: Order) -> int:
    """Somebody else changes some of them at the same time: one by one."""
    limit = asyncio.Semaphore(AT_ONCE)

    async def attempt(stored: Stored) -> bool:
        async with limit:
            try:
                after = await change(stores, user_id, stored.notification.id, order)
            except (Conflict, NotFound):
                return False
            return (after.state_at, after.state_by) == (order.at, order.by)

    return sum(await asyncio.gather(*map(attempt, batch)))
