"""Moments as requests give them."""

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)


def _as_text(value: object) -> object:
    # Pydantic alone takes numbers as well, and texts that look like numbers.
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("a time has the form 2026-03-14T12:00:00Z; in a URL, '+' is '%2B'")
    return value


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("a time is between the years 1 and 9999, in UTC") from None


Moment = Annotated[
    AwareDatetime,
    BeforeValidator(_as_text),
    AfterValidator(_utc),
    Field(examples=["2026-03-14T12:00:00Z"]),
]
