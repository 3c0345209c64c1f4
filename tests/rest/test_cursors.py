"""A cursor is only ever one that a page gave; all else is refused, whatever is in it."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.api.resources import Resources
from services.api.store.feed import read_feed
from services.api.store.pages import read_page
from shared.errors import InvalidRequest
from shared.schemas.documents import GroupDocument
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error

ALL = "SELECT * FROM c"
ODD = settings(
    max_examples=40,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
TOKENS = st.text(max_size=30) | st.sampled_from(["\r\nX: y", "\0", "ü", '{"', "[]", "{}", "-1"])


def cursor_of(text: str) -> str:
    return urlsafe_b64encode(text.encode(errors="replace")).decode().rstrip("=")


@pytest.fixture(scope="module")
async def mark(resources: Resources) -> tuple[str, str]:
    """An account with two groups, and what its cursors begin with."""
    customer: Customer = await new_customer(resources)
    for name in ("a", "b"):
        await resources.groups.create(GroupDocument(id=name, user_id=customer.user_id, name=name))
    container = resources.groups.container
    page = await read_page(container, ALL, {}, customer.user_id, limit=1)
    text = urlsafe_b64decode(page.next + "=" * (-len(page.next) % 4)).decode()
    rest = await read_page(container, ALL, {}, customer.user_id, limit=1, cursor=page.next)
    assert [each["id"] for each in page.items + rest.items] == ["a", "b"]
    return customer.user_id, text[:8]


@ODD
@given(token=TOKENS)
async def test_forged_cursors_of_a_list(
    resources: Resources, mark: tuple[str, str], token: str
) -> None:
    user_id, begin = mark
    with pytest.raises(InvalidRequest):
        await read_page(
            resources.groups.container, ALL, {}, user_id, limit=1, cursor=cursor_of(begin + token)
        )


@ODD
@given(token=TOKENS.filter(lambda text: text != ""))
async def test_forged_cursors_of_a_feed(resources: Resources, token: str) -> None:
    with pytest.raises(InvalidRequest):
        await read_feed(resources.groups.container, limit=1, cursor=cursor_of(token))


@pytest.mark.parametrize("cursor", ["a", "AAAA", "_-_-", cursor_of("\r\nX: y"), "a" * 8000])
@pytest.mark.parametrize(
    "call", ["devices", "notifications", "parked", "audit", "sessions", "jobs"]
)
async def test_forged_cursors_of_calls(
    client: httpx.AsyncClient, alice: Customer, call: str, cursor: str
) -> None:
    assert "cursor" in assert_error(await client.get(f"{alice.base}/{call}?cursor={cursor}"), 400)
