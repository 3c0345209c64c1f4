"""300 accounts, one message each, while accounts are created."""

import sys

import pytest

from services.ingest.settings import IngestSettings
from tests.ingest.local_platform import Platform
from tests.load.many_accounts import many_accounts

ACCOUNTS = 300
POOL = IngestSettings().max_senders
# Connections that ask for the event hub's properties and are closed again.
PASSING = 3


@pytest.mark.skipif(sys.platform != "linux", reason="counts connections in /proc")
async def test_every_queue_gets_its_own_message_over_few_connections(platform: Platform) -> None:
    result = await many_accounts(platform.stack, platform.resources, ACCOUNTS)
    assert result.violations == []
    # More accounts than senders: the pool was full, and no more than full.
    assert result.senders == POOL < ACCOUNTS
    assert POOL - PASSING <= result.queue_connections <= POOL + PASSING
