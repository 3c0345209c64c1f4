"""Bytes to AMQP 1.0 values (AMQP 1.0 part 1 §1.2 to §1.6).

Decoding never reads outside the buffer, never recurses deeper than `MAX_DEPTH` and never
allocates much more than the bytes it was given; whatever is wrong raises DecodeError.
"""

import struct
from collections.abc import Callable
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

MAX_DEPTH = 32
# An array of nulls takes no bytes for its elements: without a bound, eight bytes could ask for
# four thousand million of them.
MAX_EMPTY_ELEMENTS = 32

U16 = struct.Struct(">H")
U32 = struct.Struct(">I")
U64 = struct.Struct(">Q")
I8 = struct.Struct(">b")
I16 = struct.Struct(">h")
I32 = struct.Struct(">i")
I64 = struct.Struct(">q")
F32 = struct.Struct(">f")
F64 = struct.Struct(">d")

Decoder = Callable[[bytes, int, int], tuple[Any, int]]


class DecodeError(ValueError):
    """Bytes that are not the AMQP value they should be."""


def decode(buffer: bytes, position: int = 0) -> tuple[Any, int]:
    """The value at `position` and the position after it. Raises DecodeError."""
    try:
        return _DECODERS[buffer[position]](buffer, position + 1, 0)
    except DecodeError:
        raise
    except KeyError as code:
        raise DecodeError(f"unknown type code {code}") from None
    except (IndexError, struct.error):
        raise DecodeError("the value is cut short") from None
    except (ValueError, TypeError, OverflowError) as problem:
        raise DecodeError(f"malformed value: {problem}") from None


def skip(buffer: bytes, position: int, depth: int = 0) -> int:
    """The position after the value at `position`, without decoding it. Raises DecodeError."""
    try:
        code = buffer[position]
        if code == 0x00:
            if depth >= MAX_DEPTH:
                raise DecodeError("values are nested too deep")
            return skip(buffer, skip(buffer, position + 1, depth + 1), depth + 1)
        end = position + _width(buffer, position, code)
    except (IndexError, struct.error):
        raise DecodeError("the value is cut short") from None
    if end > len(buffer):
        raise DecodeError("the value is cut short")
    return end


def list_fields(buffer: bytes, position: int) -> tuple[list[Encoded], int]:
    """The fields of the list at `position`, still encoded, and the position after the list."""
    end = skip(buffer, position)
    if buffer[position] == 0x45:
        return [], end
    count, position = _compound(buffer, position, 0xC0, 0xD0)
    fields = []
    for _ in range(count):
        after = skip(buffer, position)
        if after > end:
            raise DecodeError("a list's fields exceed its size")
        fields.append(Encoded(buffer[position:after]))
        position = after
    return fields, end


def map_items(buffer: bytes, position: int) -> tuple[int, bytes]:
    """How many keys and values the map at `position` holds, and them, still encoded."""
    end = skip(buffer, position)
    count, start = _compound(buffer, position, 0xC1, 0xD1)
    if count % 2:
        raise DecodeError("a map's key has no value")
    return count, buffer[start:end]


def _width(buffer: bytes, position: int, code: int) -> int:
    """How many bytes the value at `position` takes; the high digit of its code says so."""
    kind = code >> 4
    if kind in _FIXED:
        return _FIXED[kind]
    if kind in (0xA, 0xC, 0xE):
        return 2 + buffer[position + 1]
    if kind in (0xB, 0xD, 0xF):
        return 5 + int(U32.unpack_from(buffer, position + 1)[0])
    raise DecodeError(f"unknown type code 0x{code:02x}")


_FIXED = {0x4: 1, 0x5: 2, 0x6: 3, 0x7: 5, 0x8: 9, 0x9: 17}


def _compound(buffer: bytes, position: int, small: int, large: int) -> tuple[int, int]:
    """The element count of a list or map at `position`, and where its elements start."""
    try:
        if buffer[position] == small:
            return buffer[position + 2], position + 3
        if buffer[position] == large:
            return U32.unpack_from(buffer, position + 5)[0], position + 9
    except (IndexError, struct.error):
        raise DecodeError("the value is cut short") from None
    raise DecodeError(f"type code 0x{buffer[position]:02x} where 0x{small:02x} should be")


def _constant(value: Any) -> Decoder:
    return lambda _buffer, position, _depth: (value, position)


def _number(layout: struct.Struct, kind: Callable[[Any], Any]) -> Decoder:
    size = layout.size
    unpack = layout.unpack_from
    if kind in (int, float, bool):
        return lambda buffer, position, _depth: (unpack(buffer, position)[0], position + size)
    return lambda buffer, position, _depth: (kind(unpack(buffer, position)[0]), position + size)


def _octet(kind: Callable[[Any], Any]) -> Decoder:
    return lambda buffer, position, _depth: (kind(buffer[position]), position + 1)


def _opaque(size: int, kind: Callable[[bytes], Any]) -> Decoder:
    def read(buffer: bytes, position: int, _depth: int) -> tuple[Any, int]:
        end = position + size
        if end > len(buffer):
            raise DecodeError("the value is cut short")
        return kind(buffer[position:end]), end

    return read


def _variable(small: bool, kind: Callable[[bytes], Any]) -> Decoder:
    def read8(buffer: bytes, position: int, _depth: int) -> tuple[Any, int]:
        start = position + 1
        end = start + buffer[position]
        if end > len(buffer):
            raise DecodeError("the value is cut short")
        return kind(buffer[start:end]), end

    def read32(buffer: bytes, position: int, _depth: int) -> tuple[Any, int]:
        start = position + 4
        end = start + U32.unpack_from(buffer, position)[0]
        if end > len(buffer):
            raise DecodeError("the value is cut short")
        return kind(buffer[start:end]), end

    return read8 if small else read32


def _bounds(buffer: bytes, position: int, small: bool, depth: int) -> tuple[int, int, int]:
    """Element count, first element and end of a list, map or array."""
    if depth >= MAX_DEPTH:
        raise DecodeError("values are nested too deep")
    if small:
        end = position + 1 + buffer[position]
        count, start = buffer[position + 1], position + 2
    else:
        end = position + 4 + U32.unpack_from(buffer, position)[0]
        count, start = U32.unpack_from(buffer, position + 4)[0], position + 8
    if end > len(buffer) or start > end:
        raise DecodeError("the value is cut short")
    return count, start, end


def _list(small: bool) -> Decoder:
    def read(buffer: bytes, position: int, depth: int) -> tuple[list[Any], int]:
        count, position, end = _bounds(buffer, position, small, depth)
        if count > end - position:
            raise DecodeError("a list has more elements than bytes")
        values = []
        for _ in range(count):
            value, position = _DECODERS[buffer[position]](buffer, position + 1, depth + 1)
            values.append(value)
        if position != end:
            raise DecodeError("a list's elements do not fill its size")
        return values, end

    return read


def _map(small: bool) -> Decoder:
    def read(buffer: bytes, position: int, depth: int) -> tuple[dict[Any, Any], int]:
        count, position, end = _bounds(buffer, position, small, depth)
        if count % 2 or count > end - position:
            raise DecodeError("a map's element count cannot be right")
        values = {}
        for _ in range(count // 2):
            key, position = _DECODERS[buffer[position]](buffer, position + 1, depth + 1)
            value, position = _DECODERS[buffer[position]](buffer, position + 1, depth + 1)
            values[key] = value
        if position != end:
            raise DecodeError("a map's elements do not fill its size")
        return values, end

    return read


def _array(small: bool) -> Decoder:
    def read(buffer: bytes, position: int, depth: int) -> tuple[Array, int]:
        count, position, end = _bounds(buffer, position, small, depth)
        code, position = buffer[position], position + 1
        descriptor = None
        if code == 0x00:
            descriptor, position = _DECODERS[buffer[position]](buffer, position + 1, depth + 1)
            code, position = buffer[position], position + 1
        limit = MAX_EMPTY_ELEMENTS if code >> 4 == 0x4 else end - position
        if count > limit:
            raise DecodeError("an array has more elements than bytes")
        element = _DECODERS[code]
        values = Array(_WIDEST.get(code, code), descriptor=descriptor)
        for _ in range(count):
            value, position = element(buffer, position, depth + 1)
            values.append(value)
        if position != end:
            raise DecodeError("an array's elements do not fill its size")
        return values, end

    return read


def _described(buffer: bytes, position: int, depth: int) -> tuple[Described, int]:
    if depth >= MAX_DEPTH:
        raise DecodeError("values are nested too deep")
    descriptor, position = _DECODERS[buffer[position]](buffer, position + 1, depth + 1)
    value, position = _DECODERS[buffer[position]](buffer, position + 1, depth + 1)
    return Described(descriptor, value), position


def _text(raw: bytes) -> str:
    return raw.decode()


def _symbol(raw: bytes) -> Symbol:
    return Symbol(raw, "ascii")


def _uuid(raw: bytes) -> UUID:
    return UUID(bytes=raw)


def _char(raw: int) -> Char:
    if 0xD800 <= raw < 0xE000:
        raise DecodeError("a surrogate is no character")
    return Char(chr(raw))


_DECODERS: dict[int, Decoder] = {
    0x00: _described,
    0x40: _constant(None),
    0x41: _constant(True),
    0x42: _constant(False),
    0x43: _constant(UInt(0)),
    0x44: _constant(ULong(0)),
    0x45: lambda _buffer, position, _depth: ([], position),
    0x50: _octet(UByte),
    0x51: _number(I8, Byte),
    0x52: _octet(UInt),
    0x53: _octet(ULong),
    0x54: _number(I8, Int),
    0x55: _number(I8, int),
    0x56: _octet(bool),
    0x60: _number(U16, UShort),
    0x61: _number(I16, Short),
    0x70: _number(U32, UInt),
    0x71: _number(I32, Int),
    0x72: _number(F32, Float),
    0x73: _number(U32, _char),
    0x74: _opaque(4, Decimal32),
    0x80: _number(U64, ULong),
    0x81: _number(I64, int),
    0x82: _number(F64, float),
    0x83: _number(I64, Timestamp),
    0x84: _opaque(8, Decimal64),
    0x94: _opaque(16, Decimal128),
    0x98: _opaque(16, _uuid),
    0xA0: _variable(True, bytes),
    0xA1: _variable(True, _text),
    0xA3: _variable(True, _symbol),
    0xB0: _variable(False, bytes),
    0xB1: _variable(False, _text),
    0xB3: _variable(False, _symbol),
    0xC0: _list(True),
    0xC1: _map(True),
    0xD0: _list(False),
    0xD1: _map(False),
    0xE0: _array(True),
    0xF0: _array(False),
}

# The constructor that every value of a type fits, for an array's elements.
_WIDEST = {
    0x41: 0x56, 0x42: 0x56, 0x43: 0x70, 0x52: 0x70, 0x44: 0x80, 0x53: 0x80, 0x54: 0x71,
    0x55: 0x81, 0xA0: 0xB0, 0xA1: 0xB1, 0xA3: 0xB3, 0x45: 0xD0, 0xC0: 0xD0, 0xC1: 0xD1,
    0xE0: 0xF0,
}  # fmt: skip
