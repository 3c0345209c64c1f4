"""How many calls a minute are answered."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from services.api.resources import Resources
from shared.errors import TooMany
from shared.rate_limit import RateLimit, address_group
from stack.local import LocalStack
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import JSON, UNKNOWN, assert_error
from tests.api.test_api_unavailable import api_with

LIMITS = {
    "MYMOTE_CALLS_PER_MINUTE": "8",
    "MYMOTE_WRITES_PER_MINUTE": "3",
    "MYMOTE_STRANGERS_PER_MINUTE": "4",
    "MYMOTE_TRUSTED_PROXIES": "127.0.0.1",
}


@pytest.fixture(scope="module")
async def limited(
    stack: LocalStack, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[httpx.AsyncClient]:
    log_file: Path = tmp_path_factory.mktemp("limited") / "api.log"
    async with api_with(stack, log_file, LIMITS) as (client, _):
        yield client


def at(address: str) -> dict[str, str]:
    """A client of its own behind the trusted proxy."""
    return {"X-Forwarded-For": address}


def retry_after(reply: httpx.Response) -> int:
    return int(reply.headers["retry-after"])


async def test_calls_of_a_key(limited: httpx.AsyncClient, resources: Resources) -> None:
    customer = await new_customer(resources)
    for left in reversed(range(8)):
        reply = await limited.get(f"{customer.base}/groups")
        assert reply.status_code == 200
        assert reply.headers["ratelimit-limit"] == "8"
        assert reply.headers["ratelimit-remaining"] == str(left)
    reply = await limited.get(f"{customer.base}/groups")
    assert "8 calls a minute" in assert_error(reply, 429)
    assert 1 <= retry_after(reply) <= 60
    other = await new_customer(resources)
    assert (await limited.get(f"{other.base}/groups")).status_code == 200


async def test_calls_that_change_something(
    limited: httpx.AsyncClient, resources: Resources
) -> None:
    customer = await new_customer(resources)
    url = f"{customer.base}/devices/{UNKNOWN}/sendjson"
    replies = [await limited.post(url, content="1", headers=JSON) for _ in range(4)]
    assert [reply.status_code for reply in replies] == [404, 404, 404, 429]
    assert (await limited.get(f"{customer.base}/groups")).status_code == 200


async def test_wrong_keys_count_for_their_address_and_harm_nobody_else(
    limited: httpx.AsyncClient, resources: Resources
) -> None:
    customer = await new_customer(resources)
    wrong = f"/api/user/{customer.user_id}/wrong/groups"
    replies = [await limited.get(wrong, headers=at("203.0.113.1")) for _ in range(5)]
    assert [reply.status_code for reply in replies] == [401, 401, 401, 401, 429]
    assert retry_after(replies[-1]) >= 1
    # A colleague behind the same address has the right key.
    right = await limited.get(f"{customer.base}/groups", headers=at("203.0.113.1"))
    assert right.status_code == 200
    assert_error(await limited.get(wrong, headers=at("203.0.113.2")), 401)


async def test_a_burst_is_counted_exactly() -> None:
    limit = RateLimit(100)
    outcomes = await asyncio.gather(*(limit.spend("a") for _ in range(150)), return_exceptions=True)
    assert sum(isinstance(one, TooMany) for one in outcomes) == 50
    assert (await limit.spend("b")).remaining == 99


async def test_after_retry_after_a_call_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = RateLimit(60)
    for _ in range(60):
        await limit.spend("a")
    with pytest.raises(TooMany) as refused:
        await limit.spend("a")
    wait = refused.value.retry_after
    assert wait is not None
    assert 1 <= wait <= 60
    assert "wait" in str(refused.value)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + wait)
    await limit.spend("a")


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.7"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_addresses_of_one_subscriber_count_together(address: str, group: str) -> None:
    assert address_group(address) == group


async def test_the_same_key_is_limited_however_it_is_sent(
    limited: httpx.AsyncClient, resources: Resources
) -> None:
    customer: Customer = await new_customer(resources)
    header = {"X-API-Key": customer.api_key}
    for _ in range(4):
        await limited.get(f"{customer.base}/groups")
        await limited.get(f"/api/user/{customer.user_id}/-/groups", headers=header)
    reply = await limited.get(f"/api/user/{customer.user_id}/-/groups", headers=header)
    assert_error(reply, 429)
