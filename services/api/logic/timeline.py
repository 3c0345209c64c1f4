"""A device's timeline: its own entries and its notifications as one list, newest first."""

import asyncio
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import datetime

from services.api.logic.devices import get_device
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from services.api.store.keyset import Keyset, Place
from services.api.store.notifications import Notifications
from services.api.store.timeline import Timeline
from shared.errors import InvalidRequest
from shared.schemas.documents import Notification, TimelineEntry, sortable

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
    def place(self) -> tuple[str, str]:
        """In the order of both containers."""
        return sortable(self.at), self.id


async def page_of_timeline(
    stores: Stores, user_id: str, device_id: str, span: Span, *, limit: int, cursor: str = ""
) -> tuple[list[Happening], str]:
    """At most `limit` entries and the cursor of the next page; "" after the last.

    Only what happened while the device was this account's. Raises NotFound, InvalidRequest for a
    cursor that is none, and Unavailable.
    """
    await get_device(stores.devices, stores.gateways, user_id, device_id)
    behind = _place(cursor) if cursor else None
    keyset = Keyset(limit + 1, behind, span.since, span.until)
    entries, notifications = await asyncio.gather(
        _entries(stores.timeline, user_id, device_id, span, keyset),
        _notifications(stores.notifications, user_id, device_id, span, keyset),
    )
    found = sorted([*entries, *notifications], key=lambda each: each.place, reverse=True)
    page = found[:limit]
    return page, _cursor(page[-1]) if len(found) > limit else ""


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


def _cursor(last: Happening) -> str:
    return urlsafe_b64encode(" ".join(last.place).encode()).decode().rstrip("=")


def _place(cursor: str) -> Place:
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, id_ = text.partition(" ")
        place = Place(datetime.fromisoformat(at), id_)
        ours = sortable(place.at) == at
    except (ValueError, OverflowError):
        ours = False
    if not ours:
        raise InvalidRequest(
            "This cursor is of no page of a timeline; leave it out to start at the newest."
        )
    return place
