"""Frames and performatives on the wire (AMQP 1.0 part 2 §2.3 and §2.7, part 5 §5.3).

Every performative is written with all its fields: the Azure SDKs index them without looking.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from emulator.amqp.codec import DecodeError, decode, encode
from emulator.amqp.node import AmqpError, Outcome, Verdict
from emulator.amqp.types import Described, Encoded, Symbol, UInt, ULong

AMQP_HEADER = b"AMQP\x00\x01\x00\x00"
SASL_HEADER = b"AMQP\x03\x01\x00\x00"
HEADER_SIZE = 8
# What Azure announces and accepts.
MAX_FRAME_SIZE = 65536
EMPTY_FRAME = b"\x00\x00\x00\x08\x02\x00\x00\x00"

FRAME_TYPE_AMQP = 0
FRAME_TYPE_SASL = 1

_PREFIX = struct.Struct(">IBBH")
U32 = struct.Struct(">I")


class Performative(IntEnum):
    """The descriptor codes of what frames carry."""

    OPEN = 0x10
    BEGIN = 0x11
    ATTACH = 0x12
    FLOW = 0x13
    TRANSFER = 0x14
    DISPOSITION = 0x15
    DETACH = 0x16
    END = 0x17
    CLOSE = 0x18
    SASL_MECHANISMS = 0x40
    SASL_INIT = 0x41
    SASL_OUTCOME = 0x44


# How many fields each performative has; what the peer leaves out is null.
FIELD_COUNTS: dict[int, int] = {
    Performative.OPEN: 10,
    Performative.BEGIN: 8,
    Performative.ATTACH: 14,
    Performative.FLOW: 11,
    Performative.TRANSFER: 11,
    Performative.DISPOSITION: 6,
    Performative.DETACH: 3,
    Performative.END: 1,
    Performative.CLOSE: 1,
    Performative.SASL_INIT: 3,
}


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame's performative, its fields decoded, and the payload behind it."""

    type: int
    channel: int
    code: int
    fields: list[Any]
    payload: bytes
    raw: bytes  # the performative's list, still encoded


def frame_size(buffer: bytes, position: int) -> int:
    """The size that a frame states. Raises AmqpError where no frame can have it."""
    size: int = U32.unpack_from(buffer, position)[0]
    if not HEADER_SIZE <= size <= MAX_FRAME_SIZE:
        raise AmqpError("amqp:connection:framing-error", f"a frame of {size} bytes is not allowed")
    return size


def parse(buffer: bytes, position: int, size: int) -> Frame | None:
    """The frame of `size` bytes at `position`; None where it is empty (a heartbeat).

    Raises AmqpError or DecodeError.
    """
    _, doff, kind, channel = _PREFIX.unpack_from(buffer, position)
    end, body = position + size, position + 4 * doff
    if doff < 2 or body > end:
        raise AmqpError("amqp:connection:framing-error", "a frame's data offset is wrong")
    if body == end:
        return None
    if buffer[body : body + 2] == b"\x00\x53" and body + 3 < end:
        code, start = buffer[body + 2], body + 3
    else:
        code, start = _full_descriptor(buffer[body:end]), body + 10
    count = FIELD_COUNTS.get(code)
    if count is None:
        raise AmqpError("amqp:not-implemented", f"performative 0x{code:02x} is not known")
    fields, after = decode(buffer, start)
    if not isinstance(fields, list) or len(fields) > count or after > end:
        raise DecodeError("a performative's fields are not as they should be")
    fields.extend([None] * (count - len(fields)))
    raw = buffer[start:after] if code == Performative.ATTACH else b""
    return Frame(kind, channel, code, fields, buffer[after:end], raw)


def frame(
    channel: int, code: int, fields: list[Any], *, payload: bytes = b"", kind: int = FRAME_TYPE_AMQP
) -> bytes:
    """A frame that carries a performative."""
    body = bytes((0x00, 0x53, code)) + encode(fields) + payload
    return _PREFIX.pack(HEADER_SIZE + len(body), 2, kind, channel) + body


def transfer(
    channel: int,
    handle: int,
    delivery_id: int,
    tag: bytes,
    message_format: int,
    *,
    settled: bool,
    payload: bytes,
    max_frame_size: int,
) -> list[bytes]:
    """The frames of one delivery, none larger than `max_frame_size`."""
    identity = b"\x70" + U32.pack(handle) + b"\x70" + U32.pack(delivery_id)
    identity += b"\xa0" + bytes((len(tag),)) + tag + encode(UInt(message_format))
    identity += b"\x41" if settled else b"\x42"
    # handle, delivery-id, tag, format, settled, then: more, rcv-settle-mode, state, resume,
    # aborted, batchable
    size = len(identity) + 6
    head = b"\x00\x53\x14\xc0" + bytes((size + 1, 11)) + identity
    room = max_frame_size - HEADER_SIZE - len(head) - 6
    if len(payload) <= room:
        length = HEADER_SIZE + len(head) + 6 + len(payload)
        return [_PREFIX.pack(length, 2, 0, channel) + head + b"\x42@@@@@" + payload]
    frames = []
    for start in range(0, len(payload), room):
        chunk = payload[start : start + room]
        more = b"\x41@@@@@" if start + room < len(payload) else b"\x42@@@@@"
        length = HEADER_SIZE + len(head) + 6 + len(chunk)
        frames.append(_PREFIX.pack(length, 2, 0, channel) + head + more + chunk)
    return frames


def disposition(
    channel: int, first: int, last: int, state: Any, *, role: bool, settled: bool = True
) -> bytes:
    """`role` is true where this side received the deliveries."""
    fields = [role, UInt(first), UInt(last), settled, state, None]
    return frame(channel, Performative.DISPOSITION, fields)


def error(refusal: AmqpError) -> Described:
    """An error with all three fields, as the SDKs expect it (part 2 §2.8.14)."""
    info = {Symbol(key): value for key, value in refusal.info.items()}
    return Described(ULong(0x1D), [Symbol(refusal.condition), refusal.description, info])


ACCEPTED = Encoded(b"\x00\x53\x24\x45")


def outcome_state(outcome: Outcome) -> Any:
    """The delivery state of an outcome (part 3 §3.4)."""
    if outcome.verdict is Verdict.ACCEPTED:
        return ACCEPTED
    if outcome.verdict is Verdict.RELEASED:
        return Encoded(b"\x00\x53\x26\x45")
    if outcome.verdict is Verdict.REJECTED:
        return Described(ULong(0x25), [error(outcome.error) if outcome.error else None])
    annotations = {Symbol(key): value for key, value in outcome.annotations.items()}
    fields = [outcome.delivery_failed, outcome.undeliverable_here, annotations or None]
    return Described(ULong(0x27), fields)


def read_outcome(state: Any) -> Outcome | None:
    """The outcome that a client's delivery state means; None where it is not final.

    A delivery that is settled without a state was not processed: it is released.
    """
    if state is None:
        return Outcome(Verdict.RELEASED)
    if not isinstance(state, Described) or not isinstance(state.value, list):
        raise DecodeError("a delivery state is not as it should be")
    try:
        verdict = Verdict(state.descriptor)
    except ValueError:
        return None
    fields = state.value + [None] * 3
    if verdict is Verdict.REJECTED:
        return Outcome(verdict, error=_read_error(fields[0]))
    if verdict is Verdict.MODIFIED:
        annotations = fields[2] if isinstance(fields[2], dict) else {}
        return Outcome(
            verdict,
            delivery_failed=fields[0] is True,
            undeliverable_here=fields[1] is True,
            annotations=annotations,
        )
    return Outcome(verdict)


def _read_error(value: Any) -> AmqpError | None:
    if not isinstance(value, Described) or not isinstance(value.value, list):
        return None
    condition, description, info = (value.value + [None] * 3)[:3]
    return AmqpError(str(condition), str(description or ""), info if isinstance(info, dict) else {})


def _full_descriptor(body: bytes) -> int:
    if body[:9] != b"\x00\x80" + bytes(7) or len(body) < 11:
        raise DecodeError("a frame has no performative")
    return body[9]
