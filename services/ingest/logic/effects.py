"""What an accepted message becomes: a message on a queue, a notification, a timeline entry. Pure.

Every id is deterministic, so that a replay makes the same document and the same message again.
"""

import hashlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from services.ingest.logic.accounting import Charge
from services.ingest.logic.events import Data, Event, ManagementEvent, Message, Notice
from services.ingest.logic.plan import Outgoing, Plan
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import Notification, Pairing, TimelineEntry
from shared.schemas.messages import Level

DEVICE_ID = "iothub-connection-device-id"  # the application property (rest-contract.md)

# Events of timeline entries that are ingest's own; the gateways' are in shared.schemas.messages.
PARKING_LIMIT = "parking_limit"
OVER_QUOTA = "over_quota"
FLAPPING = "flapping"
CONNECTION = {
    ConnectionState.CONNECTED: "connected",
    ConnectionState.DISCONNECTED: "disconnected",
}

UNITS = {Charge.DATA: "data messages", Charge.NOTIFICATIONS: "notifications"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message on its way to an account."""

    event: Event
    message: Message
    message_id: str
    user_id: str
    device_name: str


def message_id(event: Event, message: Message, stream: str) -> str:
    """By device and mid, or by place in the stream where a device writes no mids."""
    if message.number is not None:
        return _digest(event.device_id, str(message.number))
    return _digest(event.device_id, stream, str(event.sequence_number))


def deliver(plan: Plan, delivery: Delivery) -> None:
    """Add the delivery of a well-formed message to a plan."""
    match delivery.message.content:
        case Data() as data:
            sends = plan.sends.setdefault(delivery.user_id, [])
            sends.append(outgoing(delivery, data))
        case Notice() as notice:
            plan.notifications.append(_notification(delivery, notice))
        case ManagementEvent() as management:
            plan.timeline.append(_entry(delivery, management))
        case malformed:
            raise ValueError(f"malformed, and nobody's: {malformed.reason}")


def outgoing(delivery: Delivery, data: Data) -> Outgoing:
    """The message for the account's queue: these properties and no others (design.md)."""
    properties = {
        DEVICE_ID: delivery.event.device_id,
        "device_name": delivery.device_name,
        "iothub-creation-time-utc": _iso(delivery.message.created_at),
    }
    if delivery.message.mid:
        properties["mid"] = delivery.message.mid
    if data.user_route is not None:
        properties["user_route"] = data.user_route
    return Outgoing(delivery.message_id, data.body, data.content_type, properties, delivery.event)


def quota_warning(delivery: Delivery, kind: Charge, limit: int, day: date) -> Notification:
    """Tells the owner once for a gateway and charged day that messages are refused.

    At most 100 bytes of text, as any notification.
    """
    until = f"{day + timedelta(days=1)} 00:00 UTC"
    return Notification(
        id=_digest(delivery.event.device_id, "quota", day.isoformat()),
        user_id=delivery.user_id,
        device_id=delivery.event.device_id,
        device_name=delivery.device_name,
        level=Level.WARNING.value,
        text=f"Quota of {limit} {UNITS[kind]} a day is used up: more are refused until {until}",
        created_at=delivery.message.created_at,
        enqueued_at=delivery.event.enqueued_at,
    )


def parking_limit(delivery: Delivery, limit: int, day: date) -> TimelineEntry:
    """Tells the owner once for a device and day (the hub's) that more is not even parked."""
    return TimelineEntry(
        id=_digest(delivery.event.device_id, PARKING_LIMIT, day.isoformat()),
        device_id=delivery.event.device_id,
        user_id=delivery.user_id,
        event=PARKING_LIMIT,
        detail=f"more than {limit} messages malformed or over quota on {day} UTC: more are dropped",
        created_at=delivery.message.created_at,
        enqueued_at=delivery.event.enqueued_at,
    )


def over_quota(delivery: Delivery, kind: Charge, limit: int, day: date) -> TimelineEntry:
    """Says in the timeline what `quota_warning` says, as often."""
    device_id = delivery.event.device_id
    return TimelineEntry(
        id=_digest(device_id, OVER_QUOTA, delivery.user_id, day.isoformat()),
        device_id=device_id,
        user_id=delivery.user_id,
        event=OVER_QUOTA,
        detail=f"more than {limit} {UNITS[kind]} of {day} UTC: more are refused",
        created_at=delivery.message.created_at,
        enqueued_at=delivery.event.enqueued_at,
    )


def connection(
    event: Event, user_id: str, stream: str, status: ConnectionState, detail: str
) -> TimelineEntry:
    """Tells the owner that the gateway connected or disconnected."""
    return TimelineEntry(
        id=_digest(event.device_id, "connection", stream, str(event.sequence_number)),
        device_id=event.device_id,
        user_id=user_id,
        event=CONNECTION[status],
        detail=detail,
        created_at=event.enqueued_at,
        enqueued_at=event.enqueued_at,
    )


def flapping(event: Event, pairing: Pairing, limit: int, day: date) -> TimelineEntry:
    """Tells the owner once for a pairing and day (the hub's) that more changes are not told."""
    return TimelineEntry(
        id=_digest(event.device_id, FLAPPING, pairing.owner, day.isoformat()),
        device_id=event.device_id,
        user_id=pairing.user_id,
        event=FLAPPING,
        detail=f"connected or disconnected more than {limit} times on {day} UTC: "
        "the rest of the day is left out",
        created_at=event.enqueued_at,
        enqueued_at=event.enqueued_at,
    )


def _notification(delivery: Delivery, notice: Notice) -> Notification:
    return Notification(
        id=delivery.message_id,
        user_id=delivery.user_id,
        device_id=delivery.event.device_id,
        device_name=delivery.device_name,
        level=notice.level.value,
        text=notice.text,
        created_at=delivery.message.created_at,
        enqueued_at=delivery.event.enqueued_at,
    )


def _entry(delivery: Delivery, management: ManagementEvent) -> TimelineEntry:
    return TimelineEntry(
        id=delivery.message_id,
        device_id=delivery.event.device_id,
        user_id=delivery.user_id,
        event=management.event,
        detail=management.detail,
        created_at=delivery.message.created_at,
        enqueued_at=delivery.event.enqueued_at,
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
