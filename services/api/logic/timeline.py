"""A device's timeline: its own entries and its notifications as one list, newest first."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from services.api.logic.devices import get_device
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from services.api.store.keyset import Keyset, Place, place_of
from services.api.store.notifications import Notifications
from services.api.store.timeline import Timeline
from shared.schemas.documents import Notification, TimelineEntry

NOTIFICATION = "notification"  # the event of a timeline's entry that is a notification


@dataclass(frozen=True)
class Stores:
    """Where what happened to a device is kept."""

    devices: Devices
    gateways: Gateways
    timeline: Timeline
    notifications: Notifications


@dataclass(frozen=True)
class Span:
    """What is asked for: one kind of event, "" for all, that the cloud learned of in
    [since, until)."""

    event: str = ""
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Happening:
    """One entry of a timeline; `level` is a notification's, or 0."""

    id: str
    at: datetime
    created_at: datetime
    event: str
    detail: str
    level: int = 0

    @property
    def place(self) -> Place:
        """In the order of both containers."""
        return Place(self.at, self.id)


async def page_of_timeline(
    stores: Stores, user_id: str, device_id: str, span: Span, *, limit: int, cursor: str = ""
) -> tuple[list[Happening], str]:
    """At most `limit` entries and the cursor of the next page; "" after the last.

    Only what happened while the device was this account's. Raises NotFound, InvalidRequest for a
    cursor that is none, and Unavailable.
    """
    await get_device(stores.devices, stores.gateways, user_id, device_id)
    keyset = Keyset(limit + 1, place_of(cursor), span.since, span.until)
    entries, notifications = await asyncio.gather(
        _entries(stores.timeline, user_id, device_id, span, keyset),
        _notifications(stores.notifications, user_id, device_id, span, keyset),
    )
    found = sorted([*entries, *notifications], key=lambda each: each.place.key, reverse=True)
    page = found[:limit]
    return page, page[-1].place.cursor if len(found) > limit else ""


async def _entries(
    timeline: Timeline, user_id: str, device_id: str, span: Span, keyset: Keyset
) -> list[Happening]:
    if span.event == NOTIFICATION:
        return []
    found = await timeline.newest(user_id, device_id, span.event or None, keyset)
    return [_from_entry(each) for each in found]


async def _notifications(
    notifications: Notifications, user_id: str, device_id: str, span: Span, keyset: Keyset
) -> list[Happening]:
    if span.event not in ("", NOTIFICATION):
        return []
    found = await notifications.newest_of_device(user_id, device_id, keyset)
    return [_from_notification(each) for each in found]


def _from_entry(entry: TimelineEntry) -> Happening:
    return Happening(entry.id, entry.enqueued_at, entry.created_at, entry.event, entry.detail)


def _from_notification(notification: Notification) -> Happening:
    return Happening(
        notification.id,
        notification.enqueued_at,
        notification.created_at,
        NOTIFICATION,
        notification.text,
        notification.level,
    )
