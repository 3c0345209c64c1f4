"""The service on a free port, and the official client on it."""

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.partition_key import PartitionKey

from emulator.cosmos import cosmos_app
from emulator.store import Store

KEY = base64.b64encode(b"cosmos-test-key-cosmos-test-key!").decode()

Serve = Callable[[Path], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def serve_cosmos(path: Path) -> AsyncIterator[str]:
    """The endpoint of a service whose state is the given file."""
    store = Store(path)
    runner = web.AppRunner(cosmos_app(store, base64.b64decode(KEY)), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
        store.close()


@pytest.fixture(scope="session")
def serve() -> Serve:
    return serve_cosmos


@pytest.fixture(scope="session")
def key() -> str:
    return KEY


@pytest.fixture(scope="session")
async def endpoint(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with serve_cosmos(tmp_path_factory.mktemp("cosmos") / "store.db") as url:
        yield url


@pytest.fixture(scope="session")
async def client(endpoint: str) -> AsyncIterator[CosmosClient]:
    async with CosmosClient(endpoint, KEY, consistency_level="Strong") as cosmos:
        yield cosmos


@pytest.fixture(scope="session")
async def database(client: CosmosClient) -> DatabaseProxy:
    return await client.create_database("tests")


@pytest.fixture
async def container(
    database: DatabaseProxy, request: pytest.FixtureRequest
) -> AsyncIterator[ContainerProxy]:
    """A new container with the partition key /pk."""
    name = request.node.name.replace("[", "-").replace("]", "").replace("/", "-")[:200]
    yield await database.create_container(name, PartitionKey("/pk"))
    await database.delete_container(name)
