"""AMQP 1.0 values to bytes, each in its shortest encoding (AMQP 1.0 part 1 §1.6).

A value out of its type's range raises ValueError, an unknown Python type TypeError.
"""

import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from emulator.amqp.types import (
    Array,
    Byte,
    Char,
    Decimal32,
    Decimal64,
    Decimal128,
    Described,
    Encoded,
    Float,
    Int,
    Short,
    Symbol,
    Timestamp,
    UByte,
    UInt,
    ULong,
    UShort,
)

Encoder = Callable[[Any], bytes]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def encode(value: Any) -> bytes:
    """The shortest encoding of a value. Raises TypeError or ValueError where there is none."""
    encoder = _ENCODERS.get(type(value)) or _inherited(value)
    try:
        return encoder(value)
    except struct.error as problem:
        raise ValueError(f"{value!r} is out of its AMQP type's range: {problem}") from None


def encode_map(count: int, items: bytes) -> bytes:
    """A map of `count` keys and values (both counted) that are encoded already."""
    return _compound(0xC1, 0xD1, count, items)


def encode_list(count: int, items: bytes) -> bytes:
    """A list of `count` fields that are encoded already."""
    return _compound(0xC0, 0xD0, count, items) if count else b"\x45"


def _inherited(value: Any) -> Encoder:
    for kind, encoder in _ENCODERS.items():
        if isinstance(value, kind):
            return encoder
    raise TypeError(f"no AMQP type for {type(value).__name__}")


def _compound(small: int, large: int, count: int, items: bytes) -> bytes:
    if len(items) < 0xFF and count <= 0xFF:
        return bytes((small, len(items) + 1, count)) + items
    return struct.pack(">BII", large, len(items) + 4, count) + items


def _variable(small: int, large: int, raw: bytes) -> bytes:
    if len(raw) <= 0xFF:
        return bytes((small, len(raw))) + raw
    return struct.pack(">BI", large, len(raw)) + raw


def _fixed(code: int, layout: str) -> Encoder:
    pack = struct.Struct(">B" + layout).pack
    return lambda value: pack(code, value)


def _signed(small: int, large: int, layout: str) -> Encoder:
    pack = struct.Struct(">B" + layout).pack

    def write(value: int) -> bytes:
        if -0x80 <= value <= 0x7F:
            return bytes((small, value & 0xFF))
        return pack(large, value)

    return write


def _unsigned(zero: int, small: int, large: int, layout: str) -> Encoder:
    pack = struct.Struct(">B" + layout).pack

    def write(value: int) -> bytes:
        if 0 < value <= 0xFF:
            return bytes((small, value))
        return pack(large, value) if value else bytes((zero,))

    return write


def _described(value: Described) -> bytes:
    descriptor = value.descriptor
    if type(descriptor) is int:
        descriptor = ULong(descriptor)
    return b"\x00" + encode(descriptor) + encode(value.value)


def _list(values: list[Any] | tuple[Any, ...]) -> bytes:
    return encode_list(len(values), b"".join(map(encode, values)))


def _map(values: Mapping[Any, Any]) -> bytes:
    items = b"".join([encode(key) + encode(value) for key, value in values.items()])
    return encode_map(2 * len(values), items)


def _array(array: Array) -> bytes:
    code = array.code
    if code in _VARIABLE:
        raw = [item if isinstance(item, bytes) else item.encode() for item in array]
        if all(len(item) <= 0xFF for item in raw):
            code -= 0x10  # the constructor with a one-byte length
            items = b"".join([bytes((len(item),)) + item for item in raw])
        else:
            items = b"".join([struct.pack(">I", len(item)) + item for item in raw])
    else:
        element = _ELEMENTS[code]
        items = b"".join([element(item) for item in array])
    constructor = bytes((code,))
    if array.descriptor is not None:
        constructor = b"\x00" + encode(array.descriptor) + constructor
    return _compound(0xE0, 0xF0, len(array), constructor + items)


def _wide(encoder: Encoder) -> Encoder:
    """A compound element without its constructor, always with four-byte size and count."""

    def write(value: Any) -> bytes:
        encoded = encoder(value)
        if encoded[0] == 0x45:
            return struct.pack(">II", 4, 0)
        if encoded[0] in (0xC0, 0xC1, 0xE0):
            return struct.pack(">II", encoded[1] + 3, encoded[2]) + encoded[3:]
        return encoded[1:]

    return write


def _packed(layout: str) -> Encoder:
    return struct.Struct(">" + layout).pack


_VARIABLE = (0xB0, 0xB1, 0xB3)

_ELEMENTS: dict[int, Encoder] = {
    0x40: lambda _null: b"",
    0x50: _packed("B"),
    0x51: _packed("b"),
    0x56: _packed("?"),
    0x60: _packed("H"),
    0x61: _packed("h"),
    0x70: _packed("I"),
    0x71: _packed("i"),
    0x72: _packed("f"),
    0x73: lambda char: struct.pack(">I", ord(char)),
    0x74: bytes,
    0x80: _packed("Q"),
    0x81: _packed("q"),
    0x82: _packed("d"),
    0x83: _packed("q"),
    0x84: bytes,
    0x94: bytes,
    0x98: lambda uuid: uuid.bytes,
    0xD0: _wide(_list),
    0xD1: _wide(_map),
    0xF0: _wide(_array),
}

# In the order that `_inherited` tries them: subclasses before their bases.
_ENCODERS: dict[type, Encoder] = {
    type(None): lambda _null: b"\x40",
    bool: lambda value: b"\x41" if value else b"\x42",
    UByte: _fixed(0x50, "B"),
    UShort: _fixed(0x60, "H"),
    UInt: _unsigned(0x43, 0x52, 0x70, "I"),
    ULong: _unsigned(0x44, 0x53, 0x80, "Q"),
    Byte: _fixed(0x51, "b"),
    Short: _fixed(0x61, "h"),
    Int: _signed(0x54, 0x71, "i"),
    Timestamp: _fixed(0x83, "q"),
    int: _signed(0x55, 0x81, "q"),
    Float: _fixed(0x72, "f"),
    float: _fixed(0x82, "d"),
    Symbol: lambda value: _variable(0xA3, 0xB3, value.encode("ascii")),
    Char: lambda value: struct.pack(">BI", 0x73, ord(value)),
    str: lambda value: _variable(0xA1, 0xB1, value.encode()),
    Encoded: bytes,
    Decimal32: lambda value: b"\x74" + value,
    Decimal64: lambda value: b"\x84" + value,
    Decimal128: lambda value: b"\x94" + value,
    bytes: lambda value: _variable(0xA0, 0xB0, value),
    UUID: lambda value: b"\x98" + value.bytes,
    datetime: lambda value: struct.pack(
        ">Bq", 0x83, round((value - _EPOCH).total_seconds() * 1000)
    ),
    Described: _described,
    Array: _array,
    list: _list,
    tuple: _list,
    dict: _map,
    Mapping: _map,
}
