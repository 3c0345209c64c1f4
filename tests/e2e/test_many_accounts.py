"""Many more accounts than ingest may have senders, one message each, while they are created."""

import sys
from collections.abc import AsyncIterator

import pytest

from tests.ingest.local_platform import Platform
from tests.load.many_accounts import many_accounts

ACCOUNTS = 75
POOL = 50  # of 200 by default: what the pool does is the same, and opening many costs the SDK much
# Connections that ask for the event hub's properties and are closed again.
PASSING = 3


@pytest.fixture
async def small_pool(platform: Platform) -> AsyncIterator[None]:
    await platform.restart(MYMOTE_INGEST_MAX_SENDERS=str(POOL))
    yield
    await platform.restart()


@pytest.mark.usefixtures("small_pool")
@pytest.mark.skipif(sys.platform != "linux", reason="counts connections in /proc")
async def test_every_queue_gets_its_own_message_over_few_connections(platform: Platform) -> None:
    result = await many_accounts(platform.stack, platform.resources, ACCOUNTS)
    assert result.violations == []
    # More accounts than senders: the pool was full, and no more than full.
    assert result.senders == POOL < ACCOUNTS
    assert POOL - PASSING <= result.queue_connections <= POOL + PASSING
