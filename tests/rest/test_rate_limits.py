"""How many calls a minute are answered."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
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


Replies = list[httpx.Response]


async def in_one_minute(calls: Callable[[], Awaitable[Replies]]) -> Replies:
    """Calls that no minute of the clock ended between: what is left is counted anew with each.

    Where one did, others are made, of somebody who has made none.
    """
    while True:
        minute = time.time() // 60
        replies = await calls()
        if time.time() // 60 == minute:
            return replies


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands until a test moves it."""
    now = [time.time()]
    monkeypatch.setattr("time.time", lambda: now[0])
    return now


async def test_calls_of_a_key(limited: httpx.AsyncClient, resources: Resources) -> None:
    async def calls() -> Replies:
        customer = await new_customer(resources)
        return [await limited.get(f"{customer.base}/groups") for _ in range(9)]

    *granted, refused = await in_one_minute(calls)
    for left, reply in zip(reversed(range(8)), granted, strict=True):
        assert reply.status_code == 200
        assert reply.headers["ratelimit-limit"] == "8"
        assert reply.headers["ratelimit-remaining"] == str(left)
    assert "8 calls a minute" in assert_error(refused, 429)
    assert 1 <= retry_after(refused) <= 60
    other = await new_customer(resources)
    assert (await limited.get(f"{other.base}/groups")).status_code == 200


async def test_calls_that_change_something(
    limited: httpx.AsyncClient, resources: Resources
) -> None:
    async def calls() -> Replies:
        customer = await new_customer(resources)
        url = f"{customer.base}/devices/{UNKNOWN}/sendjson"
        writes = [await limited.post(url, content="1", headers=JSON) for _ in range(4)]
        return [*writes, await limited.get(f"{customer.base}/groups")]

    replies = await in_one_minute(calls)
    assert [reply.status_code for reply in replies] == [404, 404, 404, 429, 200]


async def test_wrong_keys_count_for_their_address_and_harm_nobody_else(
    limited: httpx.AsyncClient, resources: Resources
) -> None:
    customer = await new_customer(resources)
    wrong = f"/api/user/{customer.user_id}/wrong/groups"
    addresses = (f"203.0.113.{number}" for number in count(1))

    async def calls() -> Replies:
        headers = at(next(addresses))
        guesses = [await limited.get(wrong, headers=headers) for _ in range(5)]
        # A colleague behind the same address has the right key.
        return [*guesses, await limited.get(f"{customer.base}/groups", headers=headers)]

    replies = await in_one_minute(calls)
    assert [reply.status_code for reply in replies] == [401, 401, 401, 401, 429, 200]
    assert retry_after(replies[-2]) >= 1
    assert_error(await limited.get(wrong, headers=at(next(addresses))), 401)


def test_calls_are_counted_exactly(clock: list[float]) -> None:
    limit = RateLimit(100)
    assert [limit.spend("a").remaining for _ in range(100)] == list(reversed(range(100)))
    for _ in range(50):
        with pytest.raises(TooMany):
            limit.spend("a")
    assert limit.spend("b").remaining == 99


@pytest.mark.parametrize(
    ("seconds", "granted"), [(59, 0), (61, 1), (90, 30), (119, 59), (120, 60), (180, 60), (-60, 60)]
)
def test_of_the_minute_before_counts_what_is_not_over(
    clock: list[float], seconds: int, granted: int
) -> None:
    clock[0] -= clock[0] % 60
    limit = RateLimit(60)
    for _ in range(60):
        limit.spend("a")
    clock[0] += seconds
    for _ in range(granted):
        limit.spend("a")
    with pytest.raises(TooMany) as refused:
        limit.spend("a")
    clock[0] += refused.value.retry_after or 0
    clock[0] += 0.001
    limit.spend("a")


def test_a_call_costs_the_same_however_many_call() -> None:
    few, many = RateLimit(10**6), RateLimit(10**6)
    for number in range(10_000):
        many.spend(str(number))

    def cost(limit: RateLimit) -> float:
        """CPU seconds of a hundred calls, the least of ten tries."""
        tries = []
        for _ in range(10):
            began = time.thread_time()
            for _ in range(100):
                limit.spend("me")
            tries.append(time.thread_time() - began)
        return min(tries)

    assert cost(many) < 5 * cost(few)


def test_after_retry_after_a_call_is_answered(clock: list[float]) -> None:
    limit = RateLimit(60)
    for _ in range(60):
        limit.spend("a")
    with pytest.raises(TooMany) as refused:
        limit.spend("a")
    wait = refused.value.retry_after
    assert wait is not None
    assert 1 <= wait <= 60
    assert "wait" in str(refused.value)
    clock[0] += wait
    limit.spend("a")


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
    async def calls() -> Replies:
        customer: Customer = await new_customer(resources)
        header = {"X-API-Key": customer.api_key}
        url = f"/api/user/{customer.user_id}/-/groups"
        replies = []
        for _ in range(4):
            replies.append(await limited.get(f"{customer.base}/groups"))
            replies.append(await limited.get(url, headers=header))
        return [*replies, await limited.get(url, headers=header)]

    replies = await in_one_minute(calls)
    assert [reply.status_code for reply in replies] == [200] * 8 + [429]
