"""One page of a whole container, in the order in which the database keeps it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosHttpResponseError

from services.api.store.pages import BAD_REQUEST, RawPage, is_token
from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.errors import InvalidRequest


async def read_feed(container: ContainerProxy, *, limit: int, cursor: str = "") -> RawPage:
    """At most `limit` documents of all partitions; costs what the page holds.

    A page may hold fewer, or none, before the last. Raises InvalidRequest for a cursor that no
    page of this container gave, and Unavailable.
    """
    try:
        token = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode() if cursor else None
    except ValueError:
        raise _no_page() from None
    if token is not None and not is_token(token):
        raise _no_page()
    pages = container.read_all_items(max_item_count=limit).by_page(token)
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
    return RawPage(items, urlsafe_b64encode(following.encode()).decode().rstrip("="))


def _no_page() -> InvalidRequest:
    return InvalidRequest(
        "This cursor is of no page of this list; leave it out to start at the first page."
    )
