"""From an event of the stream to what it means. Pure: bytes in, dataclasses out, no exceptions.

Device and source come from annotations only, never from what a device can write (design.md,
"Messages").
"""

import json
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from services.ingest.logic.events import (
    ConnectionChange,
    Content,
    Data,
    Event,
    Ignored,
    LifecycleChange,
    Malformed,
    ManagementEvent,
    Message,
    Notice,
    RawEvent,
    TwinChange,
)
from shared.schemas.contract import ConnectionState
from shared.schemas.messages import (
    MAX_DATA_BYTES,
    MAX_NOTIFICATION_BYTES,
    EventSource,
    Level,
    Management,
    MessageType,
    ReportedProperties,
)

log = logging.getLogger(__name__)

CLOCK_AHEAD = timedelta(minutes=5)
CLOCK_BEHIND = timedelta(days=30)
MAX_MID = 2**53 - 1  # Cosmos DB keeps numbers as doubles
MAX_DETAIL_CHARACTERS = 1000
MAX_PROPERTY_CHARACTERS = 1000  # Service Bus takes little more
NOT_UTF8 = "a property is not UTF-8"
UNANNOTATED = "no annotations of IoT Hub"

# A document's id may not hold / \ ? or #, and no gateway of ours has them in its name.
DEVICE_ID = re.compile(r"[A-Za-z0-9_.:=+%@!$'()*,-]{1,128}")
DECIMAL = re.compile(r"[0-9]{1,16}")

LEVELS = {str(level.value): level for level in Level}
STATES = {
    "deviceConnected": ConnectionState.CONNECTED,
    "deviceDisconnected": ConnectionState.DISCONNECTED,
}


def decode(raw: RawEvent) -> Event:
    """What an event means. What breaks a rule is `Malformed`, what is not ours `Ignored`."""
    device_id = _text(raw.annotations.get(b"iothub-connection-device-id"))
    source = _text(raw.annotations.get(b"iothub-message-source"))
    enqueued_at = _time(raw.annotations.get(b"iothub-enqueuedtime")) or raw.enqueued_at
    if not device_id or not source:
        return Event(raw, "", enqueued_at, Ignored(UNANNOTATED))
    if not DEVICE_ID.fullmatch(device_id):
        return Event(raw, "", enqueued_at, Ignored("no device of ours"))
    return Event(raw, device_id, enqueued_at, _content(raw, device_id, source, enqueued_at))


def _content(raw: RawEvent, device_id: str, source: str, enqueued_at: datetime) -> Content:
    match source:
        case EventSource.TELEMETRY:
            return _message(raw, enqueued_at)
        case EventSource.TWIN:
            return TwinChange(_reported(raw.body, device_id))
        case EventSource.CONNECTION:
            status = STATES.get(_text(raw.properties.get(b"opType")) or "")
            return ConnectionChange(status) if status else Ignored("unknown connection event")
        case EventSource.LIFECYCLE:
            operation = _text(raw.properties.get(b"opType"))
            return LifecycleChange(deleted=operation == "deleteDeviceIdentity")
        case _:
            return Ignored(f"unknown source {source}")


def _message(raw: RawEvent, enqueued_at: datetime) -> Message:
    claimed_at = _time(raw.annotations.get(b"iothub-creation-time-utc"))
    created_at = claimed_at or enqueued_at
    if not enqueued_at - CLOCK_BEHIND <= created_at <= enqueued_at + CLOCK_AHEAD:
        created_at = enqueued_at
    try:
        mid = _strict_text(raw.message_id) or ""
    except UnicodeDecodeError:
        return Message("", None, created_at, claimed_at, Malformed(NOT_UTF8))
    return Message(mid, number(mid), created_at, claimed_at, telemetry(raw))


def telemetry(raw: RawEvent) -> Data | Notice | ManagementEvent | Malformed:
    """What a message says, from its body and what the device wrote beside it."""
    try:
        return _telemetry(raw)
    except UnicodeDecodeError:
        return Malformed(NOT_UTF8)


def number(mid: str) -> int | None:
    """A mid as a number, where it is a decimal one that can be compared."""
    if not DECIMAL.fullmatch(mid):
        return None
    value = int(mid)
    return value if value <= MAX_MID else None


def _telemetry(raw: RawEvent) -> Data | Notice | ManagementEvent | Malformed:
    """Raises UnicodeDecodeError where a property that matters is not text."""
    kind = _strict_text(raw.properties.get(b"type"))
    match MessageType.DATA if kind is None else kind:
        case MessageType.DATA:
            return _data(raw)
        case MessageType.NOTIFICATION:
            return _notice(raw)
        case MessageType.MANAGEMENT:
            return _management(raw.body)
        case other:
            return Malformed(f"type {other[:40]!r} is none of data, notification, management")


def _data(raw: RawEvent) -> Data | Malformed:
    if not raw.body:
        return Malformed("a data message is empty")
    if len(raw.body) > MAX_DATA_BYTES:
        return Malformed(f"{len(raw.body)} bytes; a data message has at most {MAX_DATA_BYTES}")
    content_type = _strict_text(raw.content_type)
    user_route = _strict_text(raw.properties.get(b"user_route"))
    if len(content_type or "") > MAX_PROPERTY_CHARACTERS:
        return Malformed(f"a content type has at most {MAX_PROPERTY_CHARACTERS} characters")
    if len(user_route or "") > MAX_PROPERTY_CHARACTERS:
        return Malformed(f"a user_route has at most {MAX_PROPERTY_CHARACTERS} characters")
    return Data(raw.body, content_type, user_route)


def _notice(raw: RawEvent) -> Notice | Malformed:
    written = _strict_text(raw.properties.get(b"level")) or ""
    level = LEVELS.get(written)
    if level is None:
        return Malformed(f"level {written[:40]!r} is none of 1 (info), 2 (warning), 3 (alarm)")
    if len(raw.body) > MAX_NOTIFICATION_BYTES:
        return Malformed(
            f"{len(raw.body)} bytes; a notification has at most {MAX_NOTIFICATION_BYTES}"
        )
    try:
        return Notice(level, raw.body.decode())
    except UnicodeDecodeError:
        return Malformed("a notification is not UTF-8")


def _management(body: bytes) -> ManagementEvent | Malformed:
    if len(body) > MAX_DATA_BYTES:
        return Malformed(f"{len(body)} bytes; a management message has at most {MAX_DATA_BYTES}")
    try:
        management = Management.model_validate_json(body)
    except ValidationError as error:
        return Malformed(f"not a management event: {error.errors()[0]['msg']}"[:200])
    detail = management.detail
    if not isinstance(detail, str):
        detail = json.dumps(detail, ensure_ascii=False)
    return ManagementEvent(management.event, detail[:MAX_DETAIL_CHARACTERS])


def _reported(body: bytes, device_id: str) -> Mapping[str, str]:
    """The reported properties of interest. One that was removed is "", a bad one is left out."""
    try:
        reported = json.loads(body)["properties"]["reported"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return {}  # a change of tags or desired properties
    if not isinstance(reported, dict):
        return {}
    changes: dict[str, str] = {}
    for name in ReportedProperties.model_fields.keys() & reported.keys():
        try:
            parsed = ReportedProperties.model_validate({name: reported[name]}, strict=True)
        except ValidationError as error:
            log.warning(
                "reported property ignored",
                extra={"device_id": device_id, "property": name, "why": error.errors()[0]["msg"]},
            )
        else:
            changes[name] = getattr(parsed, name) or ""
    return changes


def _strict_text(value: object) -> str | None:
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)


def _text(value: object) -> str | None:
    return value.decode(errors="replace") if isinstance(value, bytes) else _strict_text(value)


def _time(value: object) -> datetime | None:
    """A time as AMQP gives it (milliseconds) or as ISO 8601, in UTC; None where it is neither."""
    try:
        if isinstance(value, int):
            return datetime.fromtimestamp(value / 1000, UTC)
        if isinstance(value, bytes):
            value = value.decode()
        if isinstance(value, str):
            value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
