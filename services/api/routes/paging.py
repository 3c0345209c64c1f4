"""Which page of a list is asked for."""

from typing import Annotated

from fastapi import Query

MAX_PAGE = 200
DEFAULT_PAGE = 50

Limit = Annotated[int, Query(ge=1, le=MAX_PAGE, description="How many a page holds at most.")]
Cursor = Annotated[
    str,
    Query(
        max_length=8192,
        pattern="^[A-Za-z0-9_.~=-]*$",
        description='The `next` of the page before; "" is the first page.',
    ),
]
