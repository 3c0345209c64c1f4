"""Messages as senders encode them, as the store keeps them, and as receivers get them.

The store keeps the sender's own message annotations, where there are any, and the bare message
byte for byte; header and broker's annotations are written anew for each delivery.
"""

import struct
from collections.abc import Mapping
from typing import Any

from emulator.amqp.codec import DecodeError, encode_map, map_items, skip
from emulator.amqp.message import (
    APPLICATION_PROPERTIES,
    MESSAGE_ANNOTATIONS,
    Parts,
    annotations_section,
    extend_map,
    split,
    unbatch,
)
from emulator.servicebus import errors
from emulator.servicebus.entity import Delivery
from emulator.servicebus.queue import NewMessage

SCHEDULED_TIME = "x-opt-scheduled-enqueue-time"
MAX_MESSAGE_ID = 128

_BROKERS_OWN = frozenset(
    {
        "x-opt-enqueued-time",
        "x-opt-sequence-number",
        "x-opt-enqueue-sequence-number",
        "x-opt-message-state",
        "x-opt-locked-until",
        "x-opt-lock-token",
        "x-opt-deadletter-source",
    }
)
_ANNOTATIONS_START = bytes((0x00, 0x53, MESSAGE_ANNOTATIONS))
_MAX_UINT = 0xFFFFFFFF
_MAX_TIME = 253_402_300_799_999  # the year 9999, where .NET's and Python's calendars end


def _key(name: str) -> bytes:
    return bytes((0xA3, len(name))) + name.encode()


# durable, priority 4, ttl, not the first acquirer, delivery count (part 3 §3.2.1)
_HEADER = struct.Struct(">10sI2sI")
_HEADER_START = b"\x00\x53\x70\xc0\x10\x05\x41\x50\x04\x70"
_HEADER_WITHOUT_TTL = struct.Struct(">12sI")
_HEADER_START_WITHOUT_TTL = b"\x00\x53\x70\xc0\x0c\x05\x41\x50\x04\x40\x42\x70"

_ENQUEUED = _key("x-opt-enqueued-time") + b"\x83"
_SEQUENCE = _key("x-opt-sequence-number") + b"\x81"
_ENQUEUED_SEQUENCE = _key("x-opt-enqueue-sequence-number") + b"\x81"
_STATE = _key("x-opt-message-state") + b"\x71"
_LOCKED = _key("x-opt-locked-until") + b"\x83"
_ANNOTATIONS = struct.Struct(
    f">{len(_ENQUEUED)}sq{len(_SEQUENCE)}sq{len(_ENQUEUED_SEQUENCE)}sq{len(_STATE)}si"
)


def parse(payload: bytes, message_format: int = 0) -> list[NewMessage]:
    """The messages of one transfer, as the queue takes them. Raises AmqpError."""
    try:
        return [_parse_one(message) for message in unbatch(payload, message_format)]
    except (ValueError, TypeError) as problem:  # DecodeError, or a value that has no encoding
        raise errors.malformed(str(problem)) from None


def _parse_one(payload: bytes) -> NewMessage:
    parts = split(payload)
    if not parts.body:
        raise DecodeError("it has no body")
    scheduled_at = None
    annotations = b""
    if parts.message_annotations:
        sent = parts.read_message_annotations()
        at = sent.get(SCHEDULED_TIME)
        scheduled_at = int(at) if isinstance(at, int) else None
        if scheduled_at is not None and scheduled_at > _MAX_TIME:
            raise DecodeError(f"{SCHEDULED_TIME} is no time")
        kept = {key: value for key, value in sent.items() if key not in _BROKERS_OWN}
        annotations = annotations_section(MESSAGE_ANNOTATIONS, kept)
    parts.read_application_properties()  # checked now: dead-lettering adds to them
    return NewMessage(
        payload=annotations + parts.bare,
        message_id=_read_message_id(parts),
        ttl=parts.read_header().ttl if parts.header else None,
        scheduled_at=scheduled_at,
    )


def _read_message_id(parts: Parts) -> str | None:
    value = parts.read_properties().message_id
    if value is None:
        return None
    text = value.hex() if isinstance(value, bytes) else str(value)
    if len(text) > MAX_MESSAGE_ID:
        raise errors.bad_argument(f"a message id has {MAX_MESSAGE_ID} characters at most")
    return text


def render(delivery: Delivery) -> bytes:
    """The message as it goes to a receiver."""
    row = delivery.message
    own = _ANNOTATIONS.pack(
        _ENQUEUED,
        row.enqueued_at,
        _SEQUENCE,
        row.sequence,
        _ENQUEUED_SEQUENCE,
        row.enqueued_sequence,
        _STATE,
        row.state,
    )
    count = 8
    if delivery.locked_until is not None:
        own += _LOCKED + struct.pack(">q", delivery.locked_until)
        count = 10
    payload = row.payload
    if payload.startswith(_ANNOTATIONS_START):
        start = len(_ANNOTATIONS_START)
        theirs, items = map_items(payload, start)
        payload = payload[skip(payload, start) :]
        own += items
        count += theirs
    return (
        _header(row.ttl, row.delivery_count) + _ANNOTATIONS_START + encode_map(count, own) + payload
    )


def amend(payload: bytes, properties: Mapping[str, Any]) -> bytes:
    """A stored message with application properties added or replaced; None values are left out."""
    parts = split(payload)
    added = {str(key): value for key, value in properties.items() if value is not None}
    extended = extend_map(parts.application_properties, APPLICATION_PROPERTIES, added)
    return parts.message_annotations + parts.properties + extended + parts.body


def _header(ttl: int | None, delivery_count: int) -> bytes:
    if ttl is None:
        return _HEADER_WITHOUT_TTL.pack(_HEADER_START_WITHOUT_TTL, delivery_count)
    return _HEADER.pack(_HEADER_START, min(ttl, _MAX_UINT), b"\x42\x70", delivery_count)
