"""Guesses wait, and so does more hashing than the machine can do."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from argon2 import PasswordHasher

from services.api.logic import throttle
from services.api.logic.passwords import MAX_WAITING, Passwords
from services.api.logic.signing_in import OF_ADDRESS, OF_USERNAME
from services.api.resources import Resources
from shared.errors import TooMany, Unavailable
from tests.access.persons import Persona, join, login, new_username
from tests.api.customers import Customer
from tests.api.test_api_refusals import assert_error


@pytest.fixture(scope="module")
async def viewer(client: httpx.AsyncClient, alice: Customer) -> Persona:
    return await join(client, alice, "viewer")


@pytest.fixture(autouse=True)
async def _forget_the_address(resources: Resources) -> None:
    """All tests fail to sign in from the same one."""
    await throttle.forget(resources.attempts, OF_ADDRESS, "127.0.0.1")


async def test_guesses_wait_and_the_right_one_ends_the_waiting(
    client: httpx.AsyncClient, viewer: Persona, resources: Resources
) -> None:
    # At the same time: none may pass before the others were counted.
    replies = await asyncio.gather(*(login(client, viewer.username, "wrong") for _ in range(12)))
    statuses = [reply.status_code for reply in replies]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= OF_USERNAME.free
    for username in (viewer.username, new_username()):
        name = OF_USERNAME.id_of(username)
        while await _failures(resources, name) < OF_USERNAME.free:
            assert_error(await login(client, username, "wrong"), 401)
        for doubled in (2, 4, 8):
            await _closed_for(resources, name, timedelta())
            before = datetime.now(UTC)
            assert_error(await login(client, username, "wrong"), 401)
            found = await resources.attempts.get(name)
            assert found is not None
            assert timedelta() <= found[0].closed_until - before - timedelta(seconds=doubled)
            assert found[0].closed_until < datetime.now(UTC) + timedelta(seconds=doubled)
        await _closed_for(resources, name, timedelta(minutes=9))
        refused = await login(client, username, viewer.password)
        assert_error(refused, 429)
        assert 480 < int(refused.headers["retry-after"]) <= 540
    name = OF_USERNAME.id_of(viewer.username)
    await _closed_for(resources, name, timedelta())
    assert (await login(client, viewer.username, viewer.password)).status_code == 200
    assert await _failures(resources, name) == 0


async def test_guesses_of_many_usernames_from_one_address_wait_too(
    client: httpx.AsyncClient, resources: Resources, viewer: Persona
) -> None:
    for _ in range(OF_ADDRESS.free):
        await throttle.count_failure(resources.attempts, OF_ADDRESS, "127.0.0.1")
    assert_error(await login(client, new_username(), "wrong"), 429)
    await throttle.forget(resources.attempts, OF_ADDRESS, "127.0.0.1")
    await throttle.count_failure(resources.attempts, OF_ADDRESS, "127.0.0.1")
    # Signing in oneself does not wash off guesses at others.
    assert (await login(client, viewer.username, viewer.password)).status_code == 200
    found = await resources.attempts.get(OF_ADDRESS.id_of("127.0.0.1"))
    assert found is not None
    assert found[0].failures == 1


async def test_throttles_do_not_count_with_each_other(resources: Resources) -> None:
    keys = throttle.Throttle(
        kind="test",
        free=2,
        first_wait=timedelta(hours=1),
        longest_wait=timedelta(hours=1),
        forgotten_after=timedelta(hours=1),
    )
    name = new_username()
    for _ in range(2):
        await throttle.check(resources.attempts, keys, name)
        await throttle.count_failure(resources.attempts, keys, name)
    with pytest.raises(TooMany) as refused:
        await throttle.check(resources.attempts, keys, name)
    assert 3500 < (refused.value.retry_after or 0) <= 3600
    await throttle.check(resources.attempts, OF_USERNAME, name)
    await throttle.forget(resources.attempts, keys, name)
    await throttle.check(resources.attempts, keys, name)


def test_waits_grow_up_to_their_longest() -> None:
    waits = [OF_USERNAME.wait_after(failures).total_seconds() for failures in range(20)]
    assert waits[:8] == [0, 0, 0, 0, 0, 1, 2, 4]
    assert waits[-1] == 15 * 60
    assert OF_USERNAME.wait_after(10**6) == timedelta(minutes=15)


async def test_more_hashing_than_can_be_waited_for_is_refused() -> None:
    passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    outcomes = await asyncio.gather(
        *(passwords.hash("a long password") for _ in range(MAX_WAITING + 5)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Unavailable) for each in outcomes) == 5
    assert sum(isinstance(each, str) for each in outcomes) == MAX_WAITING
    assert await passwords.matches(str(outcomes[0]), "a long password")


async def _failures(resources: Resources, name: str) -> int:
    found = await resources.attempts.get(name)
    return found[0].failures if found else 0


async def _closed_for(resources: Resources, name: str, wait: timedelta) -> None:
    """As if the wait were so long."""
    found = await resources.attempts.get(name)
    assert found is not None
    changed = found[0].model_copy(update={"closed_until": datetime.now(UTC) + wait})
    assert await resources.attempts.put(changed, found[1])
