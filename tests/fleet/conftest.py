"""The tests of this folder share one stack, and those of outboxes a local Azure without an api."""

from collections.abc import AsyncIterator

import pytest

from tests.api_fixtures import alice, bob, boiler, client, pump, resources, stack, stores
from tests.fleet.outboxes import Paired, Quiet, quiet_azure

__all__ = ["alice", "bob", "boiler", "client", "pump", "resources", "stack", "stores"]


@pytest.fixture(scope="package")
async def quiet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Quiet]:
    async with quiet_azure(tmp_path_factory.mktemp("quiet")) as opened:
        yield opened


@pytest.fixture
async def device(quiet: Quiet) -> Paired:
    return await quiet.paired()
