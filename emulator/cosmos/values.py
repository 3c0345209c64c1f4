"""JSON values as Cosmos DB sees them: undefined, the order of types, equality, text."""

import json
from enum import Enum, IntEnum
from typing import Any, Final

Document = dict[str, Any]

ESCAPED_NUL = "\\u0000"
ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False)


class Undefined(Enum):
    """A property that is not there; unlike null it is no JSON value."""

    UNDEFINED = "undefined"


UNDEFINED: Final = Undefined.UNDEFINED


class Rank(IntEnum):
    """The order of JSON types in ORDER BY (Azure: "Ordering of mixed types")."""

    UNDEFINED = 0
    NULL = 1
    BOOLEAN = 2
    NUMBER = 3
    STRING = 4
    ARRAY = 5
    OBJECT = 6


RANKS: Final[dict[type, Rank]] = {
    Undefined: Rank.UNDEFINED,
    type(None): Rank.NULL,
    bool: Rank.BOOLEAN,
    int: Rank.NUMBER,
    float: Rank.NUMBER,
    str: Rank.STRING,
    list: Rank.ARRAY,
    dict: Rank.OBJECT,
}


def rank(value: object) -> Rank:
    """The type of a value, in sorting order."""
    return RANKS[type(value)]


def equal(left: Any, right: Any) -> bool:
    """Deep equality that tells `true` from `1`, which Python does not."""
    kind = RANKS[type(left)]
    if kind is not RANKS[type(right)]:
        return False
    if kind is Rank.ARRAY:
        return len(left) == len(right) and all(map(equal, left, right))
    if kind is Rank.OBJECT:
        return left.keys() == right.keys() and all(equal(left[k], right[k]) for k in left)
    return bool(left == right)


def loads(data: bytes | str) -> Any:
    """Strict JSON. Raises ValueError, also for NaN, bad UTF-8 and nesting without end."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def dumps(value: object) -> str:
    """Compact JSON, always the same text for the same value.

    Raises ValueError for what cannot be stored: numbers beyond a double, lone surrogates,
    and U+0000, at which SQLite's JSON functions would cut a string off.
    """
    try:
        text = ENCODER.encode(value)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    if ESCAPED_NUL in text and _has_nul(value):
        raise ValueError("U+0000 in strings is not emulated by the local Cosmos DB")
    return text


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _has_nul(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    if isinstance(value, list):
        return any(map(_has_nul, value))
    if isinstance(value, dict):
        return any(_has_nul(key) or _has_nul(item) for key, item in value.items())
    return False
