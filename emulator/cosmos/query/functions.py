"""Built-in scalar functions; what gets an argument of the wrong type is undefined."""

import math
from collections.abc import Callable
from typing import Any

from emulator.cosmos.values import UNDEFINED, Rank, equal, rank

Function = Callable[..., Any]
MAX_EXACT = 2**53


def number(value: float) -> Any:
    """A result of arithmetic as JSON writes it: whole numbers without a fraction."""
    if isinstance(value, int):
        return value
    if not math.isfinite(value):
        return UNDEFINED
    return int(value) if value.is_integer() and abs(value) <= MAX_EXACT else value


def is_number(value: object) -> bool:
    return type(value) in (int, float)


def _is(*ranks: Rank) -> Function:
    return lambda value: rank(value) in ranks


def _on_string(function: Callable[[str], Any]) -> Function:
    return lambda value: function(value) if isinstance(value, str) else UNDEFINED


def _on_number(function: Callable[[float], float]) -> Function:
    def apply(value: Any) -> Any:
        if not is_number(value):
            return UNDEFINED
        try:
            return number(function(value))
        except (ValueError, OverflowError):
            return UNDEFINED

    return apply


def _compare_strings(test: Callable[[str, str], bool]) -> Function:
    """A test of two strings; a third argument `true` makes it ignore case."""

    def apply(text: Any, part: Any, ignore_case: Any = False) -> Any:
        if not (isinstance(text, str) and isinstance(part, str) and isinstance(ignore_case, bool)):
            return UNDEFINED
        return test(text.lower(), part.lower()) if ignore_case else test(text, part)

    return apply


def _concat(*parts: Any) -> Any:
    return "".join(parts) if all(isinstance(part, str) for part in parts) else UNDEFINED


def _substring(text: Any, start: Any, length: Any) -> Any:
    if not (isinstance(text, str) and is_number(start) and is_number(length)):
        return UNDEFINED
    first = max(int(start), 0)
    return text[first : first + max(int(length), 0)]


def _left(text: Any, length: Any) -> Any:
    return _substring(text, 0, length)


def _right(text: Any, length: Any) -> Any:
    if not isinstance(text, str) or not is_number(length):
        return UNDEFINED
    return text[max(len(text) - max(int(length), 0), 0) :]


def _index_of(text: Any, part: Any) -> Any:
    return text.find(part) if isinstance(text, str) and isinstance(part, str) else UNDEFINED


def _replace(text: Any, old: Any, new: Any) -> Any:
    if not all(isinstance(part, str) for part in (text, old, new)):
        return UNDEFINED
    return text.replace(old, new) if old else text


def _array_contains(array: Any, value: Any, partial: Any = False) -> Any:
    if not isinstance(array, list) or value is UNDEFINED:
        return UNDEFINED
    same = _holds if partial is True else equal
    return any(same(item, value) for item in array)


def _holds(item: Any, part: Any) -> bool:
    """Whether an object has every property of `part`; other values must be equal."""
    if not (isinstance(item, dict) and isinstance(part, dict)):
        return equal(item, part)
    return all(name in item and _holds(item[name], value) for name, value in part.items())


def _array_length(array: Any) -> Any:
    return len(array) if isinstance(array, list) else UNDEFINED


def _array_concat(*arrays: Any) -> Any:
    if not all(isinstance(array, list) for array in arrays):
        return UNDEFINED
    return [item for array in arrays for item in array]


def _array_slice(array: Any, start: Any, length: Any = MAX_EXACT) -> Any:
    if not (isinstance(array, list) and is_number(start) and is_number(length)):
        return UNDEFINED
    first = int(start) if start >= 0 else max(len(array) + int(start), 0)
    return array[first : first + max(int(length), 0)]


def _power(base: Any, exponent: Any) -> Any:
    if not (is_number(base) and is_number(exponent)):
        return UNDEFINED
    try:
        return number(math.pow(base, exponent))
    except (ValueError, OverflowError):
        return UNDEFINED


def _round(value: float) -> float:
    return math.copysign(math.floor(abs(value) + 0.5), value)


def _iif(test: Any, then: Any, otherwise: Any) -> Any:
    return then if test is True else otherwise


# Name -> (function, fewest arguments, most arguments).
FUNCTIONS: dict[str, tuple[Function, int, int]] = {
    "IS_DEFINED": (lambda value: value is not UNDEFINED, 1, 1),
    "IS_NULL": (_is(Rank.NULL), 1, 1),
    "IS_BOOL": (_is(Rank.BOOLEAN), 1, 1),
    "IS_NUMBER": (_is(Rank.NUMBER), 1, 1),
    "IS_STRING": (_is(Rank.STRING), 1, 1),
    "IS_ARRAY": (_is(Rank.ARRAY), 1, 1),
    "IS_OBJECT": (_is(Rank.OBJECT), 1, 1),
    "IS_PRIMITIVE": (_is(Rank.NULL, Rank.BOOLEAN, Rank.NUMBER, Rank.STRING), 1, 1),
    "CONTAINS": (_compare_strings(lambda text, part: part in text), 2, 3),
    "STARTSWITH": (_compare_strings(str.startswith), 2, 3),
    "ENDSWITH": (_compare_strings(str.endswith), 2, 3),
    "STRINGEQUALS": (_compare_strings(str.__eq__), 2, 3),
    "LOWER": (_on_string(str.lower), 1, 1),
    "UPPER": (_on_string(str.upper), 1, 1),
    "TRIM": (_on_string(str.strip), 1, 1),
    "LTRIM": (_on_string(str.lstrip), 1, 1),
    "RTRIM": (_on_string(str.rstrip), 1, 1),
    "REVERSE": (_on_string(lambda text: text[::-1]), 1, 1),
    "LENGTH": (_on_string(len), 1, 1),
    "CONCAT": (_concat, 2, 200),
    "SUBSTRING": (_substring, 3, 3),
    "LEFT": (_left, 2, 2),
    "RIGHT": (_right, 2, 2),
    "INDEX_OF": (_index_of, 2, 2),
    "REPLACE": (_replace, 3, 3),
    "ARRAY_CONTAINS": (_array_contains, 2, 3),
    "ARRAY_LENGTH": (_array_length, 1, 1),
    "ARRAY_CONCAT": (_array_concat, 2, 200),
    "ARRAY_SLICE": (_array_slice, 2, 3),
    "ABS": (_on_number(abs), 1, 1),
    "CEILING": (_on_number(math.ceil), 1, 1),
    "FLOOR": (_on_number(math.floor), 1, 1),
    "ROUND": (_on_number(_round), 1, 1),
    "TRUNC": (_on_number(math.trunc), 1, 1),
    "SIGN": (_on_number(lambda value: (value > 0) - (value < 0)), 1, 1),
    "SQRT": (_on_number(math.sqrt), 1, 1),
    "SQUARE": (_on_number(lambda value: value * value), 1, 1),
    "EXP": (_on_number(math.exp), 1, 1),
    "POWER": (_power, 2, 2),
    "IIF": (_iif, 3, 3),
}
