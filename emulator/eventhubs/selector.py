"""The selector filter that says where a receiver begins."""

import re
from dataclasses import dataclass
from enum import StrEnum

from emulator.amqp.node import AmqpError

_EXPRESSION = re.compile(
    r"\s*amqp\.annotation\.x-opt-(offset|sequence-number|enqueued-time)\s*(>=?)\s*'([^']*)'\s*"
)
LATEST = "@latest"


class Field(StrEnum):
    """What a position counts in: bytes, events or milliseconds since the epoch."""

    OFFSET = "offset"
    SEQUENCE_NUMBER = "sequence-number"
    ENQUEUED_TIME = "enqueued-time"


@dataclass(frozen=True)
class Position:
    """Where to begin: behind a value, or at it where `inclusive`. None is behind the last."""

    field: Field
    value: int | None
    inclusive: bool


FROM_THE_FIRST = Position(Field.OFFSET, -1, inclusive=False)


def parse_selector(selector: str | None) -> Position:
    """The position that a selector states; without one the first event.

    Raises AmqpError where it is something else than a comparison with one of the three fields.
    """
    if selector is None:
        return FROM_THE_FIRST
    match = _EXPRESSION.fullmatch(selector)
    if match is None:
        raise AmqpError("amqp:invalid-field", f"the selector {selector!r} is not understood")
    field, operator, value = match.groups()
    if value == LATEST:
        return Position(Field(field), None, inclusive=False)
    try:
        return Position(Field(field), int(value), inclusive=operator == ">=")
    except ValueError:
        raise AmqpError("amqp:invalid-field", f"{value!r} is not a position") from None
