"""Wrong keys are looked up until too many came from an address; nobody's right key suffers."""

import time
from collections.abc import AsyncIterator

import httpx
import pytest

from services.api.factory import create_app
from services.api.resources import Resources
from shared import wrong_keys
from shared.errors import TooMany
from shared.rate_limit import STRANGERS, stranger
from shared.wrong_keys import new_wrong_keys
from stack.local import LocalStack
from tests.api.customers import new_customer, settings_of
from tests.api.test_api_refusals import assert_error

HERE, ELSEWHERE = "203.0.113.7", "198.51.100.9"
LOOKED_UP = 6


@pytest.fixture
def _within_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock stands: with each of its minutes there is room for more."""
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)


def guess(limit: wrong_keys.WrongKeys, address: str, key: str) -> None:
    limit.require_room(address, key)
    limit.was_wrong(address, key)


@pytest.mark.usefixtures("_within_a_minute")
def test_only_what_was_right_before_is_looked_up_once_too_many_were_wrong() -> None:
    limit = new_wrong_keys(3)
    limit.was_right("right")
    for number in range(3):
        guess(limit, HERE, f"guess {number}")
    with pytest.raises(TooMany, match="more than 3 wrong keys from your address") as refused:
        limit.require_room(HERE, "another")
    assert refused.value.retry_after is not None
    assert 1 <= refused.value.retry_after <= 60
    limit.require_room(HERE, "right")
    limit.require_room(ELSEWHERE, "another")


@pytest.mark.usefixtures("_within_a_minute")
def test_a_key_that_was_right_and_is_no_more_counts() -> None:
    limit = new_wrong_keys(2)
    limit.was_right("revoked")
    for _ in range(2):
        guess(limit, HERE, "revoked")
    with pytest.raises(TooMany):
        limit.require_room(HERE, "revoked")


@pytest.mark.usefixtures("_within_a_minute")
def test_guesses_at_the_same_time_are_counted() -> None:
    limit = new_wrong_keys(5)
    guesses = [str(number) for number in range(6)]
    for key in guesses:
        limit.require_room(HERE, key)  # all are looked up before one is known to be wrong
    for key in guesses[:5]:
        limit.was_wrong(HERE, key)
    with pytest.raises(TooMany):
        limit.was_wrong(HERE, guesses[5])
    with pytest.raises(TooMany):
        limit.require_room(HERE, "another")


@pytest.mark.usefixtures("_within_a_minute")
def test_what_is_kept_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wrong_keys, "KEPT", 2)
    limit = new_wrong_keys(1)
    for key in ("first", "second", "first", "third"):
        limit.was_right(key)
    guess(limit, HERE, "wrong")
    limit.require_room(HERE, "first")
    limit.require_room(HERE, "third")
    with pytest.raises(TooMany):
        limit.require_room(HERE, "second")
    assert len({stranger(f"10.{i % 256}.{i // 256}.1") for i in range(60_000)}) <= STRANGERS


@pytest.fixture(scope="module")
async def limited(stack: LocalStack) -> AsyncIterator[httpx.AsyncClient]:
    """An api of the same stack that looks few wrong keys up."""
    app = create_app(settings_of(stack, wrong_keys_per_minute=LOOKED_UP))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, client=(HERE, 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield client


async def test_a_flood_of_wrong_keys_ends_at_the_api(
    limited: httpx.AsyncClient, resources: Resources
) -> None:
    customer = await new_customer(resources)
    assert (await limited.get(f"{customer.base}/groups")).status_code == 200
    while True:
        newcomer = await new_customer(resources)
        minute = time.time() // 60
        guesses = [
            await limited.get(f"/api/user/{customer.user_id}/guess-{number}/groups")
            for number in range(LOOKED_UP + 1)
        ]
        # It is right, and was not looked up: so the guesses before it were not, either.
        unasked = await limited.get(f"{newcomer.base}/groups")
        known = await limited.get(f"{customer.base}/groups")
        if time.time() // 60 == minute:  # with each of the clock's minutes some more are looked up
            break
    assert {reply.status_code for reply in guesses[:-1]} <= {401, 429}
    for reply in (guesses[-1], unasked):
        assert "wrong keys from your address" in assert_error(reply, 429)
        assert 1 <= int(reply.headers["retry-after"]) <= 60
    assert known.status_code == 200
