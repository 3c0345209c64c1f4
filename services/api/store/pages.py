"""One page of a query within one partition; costs what the page holds."""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.errors import InvalidRequest

BAD_REQUEST = 400


@dataclass(frozen=True)
class RawPage:
    """Documents as they are stored, and the cursor of the next page; "" after the last."""

    items: list[dict[str, Any]]
    next: str


async def read_page(
    container: ContainerProxy,
    query: str,
    parameters: Mapping[str, object],
    partition_key: str,
    *,
    limit: int,
    cursor: str = "",
) -> RawPage:
    """At most `limit` documents. Parameters by name, with their "@".

    Raises InvalidRequest for a cursor that is none of this very query, and Unavailable.
    """
    values = [{"name": name, "value": value} for name, value in parameters.items()]
    mark = _mark(query, values)
    token = _token(cursor, mark)
    found = container.query_items(
        query, parameters=values, partition_key=partition_key, max_item_count=limit
    )
    pages = found.by_page(token)
    try:
        async with cosmos_call(LIST_SECONDS):
            items = [item async for item in await anext(pages)]
    except StopAsyncIteration:
        return RawPage([], "")
    except CosmosHttpResponseError as error:
        if error.status_code != BAD_REQUEST or not cursor:
            raise
        raise _no_page() from None
    following: str = getattr(pages, "continuation_token", None) or ""
    return RawPage(items, _cursor(following, mark))


def _mark(query: str, values: object) -> str:
    """Ties a cursor to its query: with another one, it would skip or repeat."""
    return hashlib.sha256(json.dumps([query, values], default=str).encode()).hexdigest()[:8]


def _cursor(token: str, mark: str) -> str:
    return urlsafe_b64encode(f"{mark}{token}".encode()).decode().rstrip("=") if token else ""


def _token(cursor: str, mark: str) -> str | None:
    if not cursor:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except ValueError:
        raise _no_page() from None
    token = text.removeprefix(mark)
    if not text.startswith(mark) or not is_token(token):
        raise _no_page()
    return token


def is_token(text: str) -> bool:
    """Whether it could be a continuation token; those travel in a header."""
    return text != "" and text.isascii() and text.isprintable()


def _no_page() -> InvalidRequest:
    return InvalidRequest(
        "This cursor is of no page of this list with these filters; leave it out to start at the "
        "first page."
    )
