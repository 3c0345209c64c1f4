"""Databases and containers, restarts, and the loss of power."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import exceptions
from azure.cosmos.aio import CosmosClient, DatabaseProxy
from azure.cosmos.partition_key import PartitionKey

from tests.emulator_cosmos.service import KEY, serve_cosmos


async def test_databases_and_containers_come_and_go(client: CosmosClient) -> None:
    database = await client.create_database("mymotedb")  # eight letters: looks like a rid
    with pytest.raises(exceptions.CosmosResourceExistsError):
        await client.create_database("mymotedb")
    container = await database.create_container_if_not_exists("c 1", PartitionKey("/pk"))
    await database.create_container_if_not_exists("c 1", PartitionKey("/pk"))
    await container.create_item({"id": "a b", "pk": "p"})
    assert (await container.read_item("a b", "p"))["pk"] == "p"
    assert [c["id"] async for c in database.list_containers()] == ["c 1"]
    assert "mymotedb" in [d["id"] async for d in client.list_databases()]
    await database.delete_container("c 1")
    with pytest.raises(exceptions.CosmosResourceNotFoundError):
        await container.read_item("a b", "p")
    await client.delete_database("mymotedb")
    with pytest.raises(exceptions.CosmosResourceNotFoundError):
        await database.read()


async def test_a_container_created_anew_is_noticed_by_its_clients(database: DatabaseProxy) -> None:
    container = await database.create_container("again", PartitionKey("/pk"))
    await container.create_item({"id": "a", "pk": "p"})
    await database.delete_container("again")
    await database.create_container("again", PartitionKey("/pk"))
    await container.create_item({"id": "a", "pk": "p"})
    assert [x["id"] async for x in container.read_all_items()] == ["a"]


async def test_the_definition_is_kept_and_partly_changeable(database: DatabaseProxy) -> None:
    indexing: dict[str, Any] = {
        "indexingMode": "consistent",
        "includedPaths": [{"path": "/*"}],
        "excludedPaths": [{"path": "/text/?"}],
    }
    container = await database.create_container(
        "defined", PartitionKey("/pk"), indexing_policy=indexing, default_ttl=60
    )
    read = await container.read()
    assert (read["indexingPolicy"], read["defaultTtl"]) == (indexing, 60)
    assert read["partitionKey"]["paths"] == ["/pk"]
    await database.replace_container(container, PartitionKey("/pk"), default_ttl=-1)
    assert (await container.read())["defaultTtl"] == -1
    with pytest.raises(exceptions.CosmosHttpResponseError, match="BadRequest"):
        await database.replace_container(container, PartitionKey("/other"))


@pytest.mark.parametrize(
    ("options", "status"),
    [
        ({"default_ttl": 0}, 400),
        ({"default_ttl": -2}, 400),
        ({"unique_key_policy": {"uniqueKeys": [{"paths": ["no slash"]}]}}, 400),
        ({"indexing_policy": {"indexingMode": "none"}}, 501),
        ({"computed_properties": [{"name": "x", "query": "SELECT VALUE 1 FROM c"}]}, 501),
        ({"partition_key": PartitionKey("/a", version=1)}, 501),
        ({"partition_key": PartitionKey("a")}, 400),
    ],
)
async def test_definitions_that_are_refused(
    database: DatabaseProxy, options: dict[str, Any], status: int
) -> None:
    with pytest.raises(exceptions.CosmosHttpResponseError) as refused:
        await database.create_container("bad", **{"partition_key": PartitionKey("/pk")} | options)
    assert refused.value.status_code == status


async def test_what_is_not_emulated_says_501(client: CosmosClient, database: DatabaseProxy) -> None:
    container = await database.create_container("plain", PartitionKey("/pk"))
    calls: list[Awaitable[Any]] = [
        container.get_throughput(),
        container.delete_all_items_by_partition_key("p"),
        container.scripts.create_stored_procedure({"id": "s", "body": "function () {}"}),
        container.scripts.execute_stored_procedure("s", partition_key="p"),
        database.create_user({"id": "u"}),
        anext(aiter(container.list_conflicts())),
        anext(aiter(client.query_databases("SELECT * FROM c"))),
        anext(aiter(container.query_items_change_feed(mode="AllVersionsAndDeletes"))),
    ]
    for refused in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(refused, exceptions.CosmosHttpResponseError), refused
        assert refused.status_code == 501
        assert "not emulated" in str(refused)


async def test_everything_outlives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    query: dict[str, Any] = {"query": "SELECT * FROM c ORDER BY c.n", "partition_key": "p"}
    async with serve_cosmos(path) as url, CosmosClient(url, KEY) as client:
        database = await client.create_database("d")
        container = await database.create_container("c", PartitionKey("/pk"))
        for n in range(10):
            await container.create_item({"id": str(n), "pk": "p", "n": n})
        await container.delete_item("9", "p")
        pages = container.query_items(**query, max_item_count=4).by_page()
        first = [item["n"] async for item in await anext(pages)]
        token = pages.continuation_token  # type: ignore[attr-defined]
        changes = container.query_items_change_feed(start_time="Beginning", max_item_count=100)
        assert len([item async for item in changes]) == 9
        position = container.client_connection.last_response_headers["etag"]
        etag = (await container.read_item("3", "p"))["_etag"]
    async with serve_cosmos(path) as url, CosmosClient(url, KEY) as client:
        container = client.get_database_client("d").get_container_client("c")
        assert (await container.read_item("3", "p"))["_etag"] == etag
        pages = container.query_items(**query, max_item_count=4).by_page(token)
        rest = [item["n"] async for page in pages async for item in page]
        assert first + rest == list(range(9))
        await container.create_item({"id": "new", "pk": "p"})
        changes = container.query_items_change_feed(continuation=position)
        assert [item["id"] async for item in changes] == ["new"]


CHILD = """
import asyncio, base64, sys
from pathlib import Path
from aiohttp import web
from emulator.cosmos import cosmos_app
from emulator.store import Store

async def main() -> None:
    app = cosmos_app(Store(Path(sys.argv[1])), base64.b64decode(sys.argv[2]))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(runner.addresses[0][1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_sigkill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(path), KEY, stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert child.stdout is not None
    port = int(await child.stdout.readline())
    answered: list[tuple[str, str]] = []
    enough = asyncio.Event()

    async def write(client: CosmosClient, writer: int) -> None:
        container = client.get_database_client("d").get_container_client("c")
        for n in range(10_000):
            ids = [f"{writer}-{n}-{part}" for part in range(3)]
            await container.execute_item_batch(
                [("create", ({"id": id_, "pk": str(writer)},)) for id_ in ids], str(writer)
            )
            answered.extend((id_, str(writer)) for id_ in ids)
            if len(answered) >= 60:
                enough.set()

    client = CosmosClient(f"http://127.0.0.1:{port}", KEY, retry_total=0, retry_connect=0)
    database = await client.create_database("d")
    await database.create_container("c", PartitionKey("/pk"))
    writers = [asyncio.create_task(write(client, writer)) for writer in range(4)]
    await asyncio.wait_for(enough.wait(), 30)
    child.send_signal(signal.SIGKILL)
    await child.wait()
    for task in writers:
        task.cancel()
    await asyncio.gather(*writers, return_exceptions=True)
    await client.close()
    async with serve_cosmos(path) as url, CosmosClient(url, KEY) as survivor:
        container = survivor.get_database_client("d").get_container_client("c")
        kept = {(x["id"], x["pk"]) async for x in container.read_all_items(max_item_count=1000)}
    assert set(answered) <= kept
    assert len(kept) % 3 == 0  # a batch is there as a whole or not at all
