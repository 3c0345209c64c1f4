"""The service on a free port, and the official client on it."""

import itertools
from collections.abc import AsyncIterator

import pytest
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.partition_key import PartitionKey

from tests.emulator_cosmos.service import KEY, serve_cosmos

NUMBERS = itertools.count()


@pytest.fixture(scope="package")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with serve_cosmos(tmp_path_factory.mktemp("cosmos") / "store.db") as url:
        yield url


@pytest.fixture(scope="package")
async def client(endpoint: str) -> AsyncIterator[CosmosClient]:
    async with CosmosClient(endpoint, KEY, consistency_level="Strong") as cosmos:
        yield cosmos


@pytest.fixture(scope="package")
async def database(client: CosmosClient) -> DatabaseProxy:
    return await client.create_database("tests")


@pytest.fixture
async def container(database: DatabaseProxy) -> AsyncIterator[ContainerProxy]:
    """A new container with the partition key /pk."""
    name = f"container-{next(NUMBERS)}"
    yield await database.create_container(name, PartitionKey("/pk"))
    await database.delete_container(name)
