"""Garbage of many customers at once stops the consumer, and the process says why."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.database import PARKED
from tests.ingest.local_platform import Owner, Platform, eventually
from tests.ingest.made_stream import taken
from tests.ingest.mqtt_gateway import Gateway

ACCOUNTS = 5


@pytest.fixture
async def unwatched(platform: Platform) -> AsyncIterator[None]:
    """A process that has seen nobody yet, and another one for the tests that follow."""
    await platform.restart()
    yield
    await platform.restart()


@pytest.mark.usefixtures("unwatched")
async def test_the_consumer_stops_before_it_parks_what_many_customers_send(
    platform: Platform,
) -> None:
    owners = [await platform.owner() for _ in range(ACCOUNTS)]
    gateways = [await platform.gateway(owner) for owner in owners]
    witness = await platform.owner()
    good = await platform.gateway(witness)

    async def send(gateway: Gateway, body: bytes, count: int) -> None:
        async with gateway:
            for _ in range(count):
                gateway.send(body)
            await gateway.delivered()

    for gateway in gateways:
        await send(gateway, b"", 3)

    reason = await platform.not_ready("a data message is empty")
    assert "parked list" in reason
    log = platform.stack.log_file("ingest").read_text().splitlines()
    errors = [each for each in map(json.loads, log) if each["level"] == "ERROR"]
    assert [each for each in errors if "a data message is empty" in each["message"]]
    assert len([each for each in errors if "takes no more events" in each["message"]]) == 1

    await send(good, b"waits", 1)

    async def at_rest() -> bool:  # what was in hand when it stopped may end as usual
        before = await everything_parked(platform, owners)
        await asyncio.sleep(1)
        return await everything_parked(platform, owners) == before

    await eventually(at_rest)
    assert len(await everything_parked(platform, owners)) < 3 * ACCOUNTS
    assert platform.stack.processes["ingest"].running

    await platform.restart(MYMOTE_INGEST_GARBAGE_ACCOUNTS="1000")
    assert await taken(witness, 1, good) == [[b"waits"]]

    async def all_parked() -> bool:
        return len(await everything_parked(platform, owners)) == 3 * ACCOUNTS

    await eventually(all_parked)


async def everything_parked(platform: Platform, owners: list[Owner]) -> list[dict[str, Any]]:
    found = [await platform.all_of(PARKED.name, owner.user_id) for owner in owners]
    return [each for some in found for each in some]
