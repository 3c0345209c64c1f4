"""Messages taken apart and put together without touching what need not be (part 3 §3.2).

A message is a row of sections: header, delivery annotations, message annotations, then the bare
message (properties, application properties, body), which intermediaries pass on byte for byte,
then a footer. `split` finds them; each part stays encoded until a `read_*` asks for it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from emulator.amqp.codec import (
    DecodeError,
    decode,
    encode,
    encode_map,
    list_fields,
    map_items,
    skip,
)
from emulator.amqp.types import Encoded, Symbol, Timestamp, UByte, UInt

HEADER = 0x70
DELIVERY_ANNOTATIONS = 0x71
MESSAGE_ANNOTATIONS = 0x72
PROPERTIES = 0x73
APPLICATION_PROPERTIES = 0x74
DATA = 0x75
SEQUENCE = 0x76
VALUE = 0x77
FOOTER = 0x78

# The message format of several messages in one, each in a data section of its own.
BATCHED = 0x80013700


@dataclass(frozen=True, slots=True)
class Header:
    """Part 3 §3.2.1; times in milliseconds."""

    durable: bool = False
    priority: int = 4
    ttl: int | None = None
    first_acquirer: bool = False
    delivery_count: int = 0


@dataclass(frozen=True, slots=True)
class Properties:
    """Part 3 §3.2.4. A message id may be a string, UUID, binary or ulong."""

    message_id: Any = None
    user_id: bytes | None = None
    to: str | None = None
    subject: str | None = None
    reply_to: str | None = None
    correlation_id: Any = None
    content_type: Symbol | None = None
    content_encoding: Symbol | None = None
    absolute_expiry_time: Timestamp | None = None
    creation_time: Timestamp | None = None
    group_id: str | None = None
    group_sequence: UInt | None = None
    reply_to_group_id: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """A message's sections as they came, descriptor included; b"" where there is none."""

    header: bytes = b""
    delivery_annotations: bytes = b""
    message_annotations: bytes = b""
    properties: bytes = b""
    application_properties: bytes = b""
    body: bytes = b""  # all data or sequence sections or the value, and the footer

    @property
    def bare(self) -> bytes:
        """What must reach the receiver byte for byte."""
        return self.properties + self.application_properties + self.body

    def read_header(self) -> Header:
        """Raises DecodeError."""
        if not self.header:
            return Header()
        durable, priority, ttl, first_acquirer, delivery_count = _fields(self.header, 5)
        return Header(
            durable=durable is True,
            priority=4 if priority is None else _typed(priority, int),
            ttl=None if ttl is None else _typed(ttl, int),
            first_acquirer=first_acquirer is True,
            delivery_count=_typed(delivery_count or 0, int),
        )

    def read_properties(self) -> Properties:
        """Raises DecodeError."""
        return Properties(*_fields(self.properties, 13)) if self.properties else Properties()

    def read_message_annotations(self) -> dict[Any, Any]:
        """Raises DecodeError."""
        return _read_map(self.message_annotations)

    def read_application_properties(self) -> dict[Any, Any]:
        """Raises DecodeError."""
        return _read_map(self.application_properties)

    def read_body(self) -> Any:
        """Bytes where the body is data, lists joined where it is sequences, else the value."""
        found = list(_sections(self.body))
        kinds = {code for code, _, _ in found if code != FOOTER}
        if kinds == {VALUE}:
            return decode(self.body, found[0][1])[0]
        values = [decode(self.body, start)[0] for code, start, _ in found if code != FOOTER]
        if kinds == {SEQUENCE}:
            return [item for value in values for item in _typed(value, list)]
        return b"".join([_typed(value, bytes) for value in values])


def split(message: bytes) -> Parts:
    """Find a message's sections. Raises DecodeError where they are not in the standard's order."""
    parts = dict.fromkeys(_NAMES.values(), b"")
    last = start = 0
    for code, _, end in _sections(message):
        name = _NAMES.get(code)
        if code < last or (code == last and code not in (DATA, SEQUENCE)):
            raise DecodeError("a message's sections are out of order")
        last = code
        if name is None:
            parts["body"] = message[start:]
            skip_to_end = list(_sections(message[end:]))
            if any(later < DATA for later, _, _ in skip_to_end):
                raise DecodeError("a message's sections are out of order")
            break
        parts[name] = message[start:end]
        start = end
    return Parts(**parts)


def unbatch(payload: bytes, message_format: int) -> list[bytes]:
    """The messages of one delivery: several where its format is BATCHED, else the one it is.

    Raises DecodeError.
    """
    if message_format != BATCHED:
        return [payload]
    return [
        _typed(decode(payload, start)[0], bytes)
        for code, start, _ in _sections(payload)
        if code == DATA
    ]


def section(code: int, value: Any) -> bytes:
    """Any section, from its code and value."""
    return bytes((0x00, 0x53, code)) + encode(value)


def header_section(header: Header) -> bytes:
    """A header with all its fields, as the SDKs expect it."""
    ttl = None if header.ttl is None else UInt(header.ttl)
    fields = [header.durable, UByte(header.priority), ttl, header.first_acquirer]
    return section(HEADER, [*fields, UInt(header.delivery_count)])


def properties_section(properties: Properties) -> bytes:
    """Properties, trailing nulls left out; b"" where all are null."""
    fields = [getattr(properties, name) for name in Properties.__slots__]
    for index in (6, 7):
        if fields[index] is not None:
            fields[index] = Symbol(fields[index])
    while fields and fields[-1] is None:
        fields.pop()
    return section(PROPERTIES, fields) if fields else b""


def annotations_section(code: int, values: Mapping[str, Any]) -> bytes:
    """Delivery or message annotations (keys become symbols); b"" where there are none."""
    return extend_map(b"", code, {Symbol(key): value for key, value in values.items()})


def application_properties_section(values: Mapping[str, Any]) -> bytes:
    """Application properties; b"" where there are none."""
    return extend_map(b"", APPLICATION_PROPERTIES, values)


def data_section(body: bytes) -> bytes:
    """A body of bytes."""
    return section(DATA, body)


def value_section(value: Any) -> bytes:
    """A body that is one AMQP value."""
    return section(VALUE, value)


def extend_map(encoded: bytes, code: int, values: Mapping[Any, Any]) -> bytes:
    """A map section with more entries, the others as they came; new ones replace old.

    `encoded` is the whole section or b"". Raises DecodeError.
    """
    count, items = map_items(encoded, _value_start(encoded)) if encoded else (0, b"")
    if not count and not values:
        return encoded
    entries = [(encode(key), encode(value)) for key, value in values.items()]
    if count and any(key in items for key, _ in entries):
        count, items = _without(items, {decode(key)[0] for key, _ in entries})
    added = b"".join([key + value for key, value in entries])
    return bytes((0x00, 0x53, code)) + encode_map(count + 2 * len(entries), items + added)


def message_id(properties: bytes) -> Encoded | None:
    """The encoded message id of a properties section, to echo with its exact type."""
    if not properties:
        return None
    fields, _ = list_fields(properties, _value_start(properties))
    return fields[0] if fields else None


# The sections that occur once at most; the rest, body and footer, stay together.
_NAMES = {
    HEADER: "header",
    DELIVERY_ANNOTATIONS: "delivery_annotations",
    MESSAGE_ANNOTATIONS: "message_annotations",
    PROPERTIES: "properties",
    APPLICATION_PROPERTIES: "application_properties",
}


def _sections(message: bytes) -> Iterable[tuple[int, int, int]]:
    """Code, start of the value and end of each section."""
    position = 0
    while position < len(message):
        value = _value_start(message, position)
        code = message[value - 1]
        if not HEADER <= code <= FOOTER:
            raise DecodeError(f"unknown message section 0x{code:02x}")
        position = skip(message, value)
        yield code, value, position


def _value_start(message: bytes, position: int = 0) -> int:
    """Where a section's value starts: its descriptor is a small or a full ulong."""
    if message[position : position + 2] == b"\x00\x53" and position + 2 < len(message):
        return position + 3
    if message[position : position + 9] == b"\x00\x80" + bytes(7) and position + 9 < len(message):
        return position + 10
    raise DecodeError("a message section has no descriptor")


def _fields(encoded: bytes, count: int) -> list[Any]:
    values, _ = decode(encoded, _value_start(encoded))
    if not isinstance(values, list) or len(values) > count:
        raise DecodeError("a section's fields are not as they should be")
    return values + [None] * (count - len(values))


def _read_map(encoded: bytes) -> dict[Any, Any]:
    if not encoded:
        return {}
    return dict(_typed(decode(encoded, _value_start(encoded))[0], dict))


def _without(items: bytes, keys: set[Any]) -> tuple[int, bytes]:
    count, position, kept = 0, 0, []
    while position < len(items):
        key, value = decode(items, position)
        end = skip(items, value)
        if key not in keys:
            kept.append(items[position:end])
            count += 2
        position = end
    return count, b"".join(kept)


def _typed(value: Any, kind: type) -> Any:
    if not isinstance(value, kind):
        raise DecodeError(f"{type(value).__name__} where {kind.__name__} should be")
    return value
