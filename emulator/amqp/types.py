"""AMQP 1.0 values that Python's own types cannot tell apart (AMQP 1.0 part 1 §1.6).

Python's None, bool, str, bytes, float, list, dict, UUID and datetime stand for null, boolean,
string, binary, double, list, map, uuid and timestamp; a plain int is a long. The wrappers below
say the rest. Each is a subclass of the Python type it narrows, so that readers need not care.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class Symbol(str):
    """An ASCII name from a constrained domain, such as an annotation's key."""

    __slots__ = ()


class Char(str):
    """One Unicode character."""

    __slots__ = ()


class UByte(int):
    """0 to 2^8-1."""

    __slots__ = ()


class UShort(int):
    """0 to 2^16-1."""

    __slots__ = ()


class UInt(int):
    """0 to 2^32-1."""

    __slots__ = ()


class ULong(int):
    """0 to 2^64-1."""

    __slots__ = ()


class Byte(int):
    """-2^7 to 2^7-1."""

    __slots__ = ()


class Short(int):
    """-2^15 to 2^15-1."""

    __slots__ = ()


class Int(int):
    """-2^31 to 2^31-1."""

    __slots__ = ()


class Timestamp(int):
    """Milliseconds since the Unix epoch, UTC."""

    __slots__ = ()


class Float(float):
    """A 32-bit floating point number."""

    __slots__ = ()


class Decimal32(bytes):
    """IEEE 754 decimal32, its 4 bytes as they came."""

    __slots__ = ()


class Decimal64(bytes):
    """IEEE 754 decimal64, its 8 bytes as they came."""

    __slots__ = ()


class Decimal128(bytes):
    """IEEE 754 decimal128, its 16 bytes as they came."""

    __slots__ = ()


class Encoded(bytes):
    """A value that is encoded already; `encode` copies it."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Described:
    """A value with a descriptor, as performatives, outcomes and filters are."""

    descriptor: Any
    value: Any


class Array(list[Any]):
    """Values of one AMQP type.

    `code` is the type's widest constructor, for example 0xB1 for strings or 0x83 for
    timestamps; `descriptor` is set where the elements are described.
    """

    __slots__ = ("code", "descriptor")

    def __init__(self, code: int, items: Iterable[Any] = (), descriptor: Any = None) -> None:
        super().__init__(items)
        self.code = code
        self.descriptor = descriptor
