"""Time to live."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from azure.cosmos import exceptions
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.partition_key import PartitionKey

from emulator.cosmos.catalog import Catalog
from emulator.cosmos.items import Items
from emulator.cosmos.transactions import transaction
from emulator.store import Store

missing = exceptions.CosmosResourceNotFoundError


async def ids(container: ContainerProxy, query: str = "SELECT * FROM c") -> list[str]:
    return sorted([item["id"] async for item in container.query_items(query)])


async def test_expired_items_are_gone_for_every_kind_of_read(database: DatabaseProxy) -> None:
    container = await database.create_container("ttl", PartitionKey("/pk"), default_ttl=1)
    await container.create_item({"id": "short", "pk": "p"})
    await container.create_item({"id": "long", "pk": "p", "ttl": 60})
    await container.create_item({"id": "ever", "pk": "p", "ttl": -1})
    assert await ids(container) == ["ever", "long", "short"]
    await asyncio.sleep(0.7)
    await container.create_item({"id": "touched", "pk": "p", "n": 0})
    await asyncio.sleep(0.5)
    with pytest.raises(missing):
        await container.read_item("short", "p")
    assert await ids(container) == ["ever", "long", "touched"]
    assert await ids(container, "SELECT * FROM c ORDER BY c.id") == ["ever", "long", "touched"]
    counts: list[Any] = [n async for n in container.query_items("SELECT VALUE COUNT(1) FROM c")]
    assert counts == [3]
    changes = container.query_items_change_feed(start_time="Beginning")
    assert [item["id"] async for item in changes] == ["long", "ever", "touched"]
    with pytest.raises(missing):
        await container.patch_item("short", "p", [{"op": "set", "path": "/n", "value": 1}])
    step = [{"op": "incr", "path": "/n", "value": 1}]
    await container.patch_item("touched", "p", step)  # lives another second from here
    await asyncio.sleep(0.7)
    assert (await container.read_item("touched", "p"))["n"] == 1
    again = await container.create_item({"id": "short", "pk": "p", "again": True})
    assert again["again"]


async def test_an_expired_item_frees_its_unique_key(database: DatabaseProxy) -> None:
    policy: dict[str, Any] = {"uniqueKeys": [{"paths": ["/mail"]}]}
    container = await database.create_container(
        "ttl-unique", PartitionKey("/pk"), default_ttl=-1, unique_key_policy=policy
    )
    await container.create_item({"id": "a", "pk": "p", "mail": "x", "ttl": 1})
    with pytest.raises(exceptions.CosmosResourceExistsError):
        await container.create_item({"id": "b", "pk": "p", "mail": "x"})
    await asyncio.sleep(1.1)
    await container.create_item({"id": "b", "pk": "p", "mail": "x"})


async def test_without_a_container_default_an_items_ttl_means_nothing(
    container: ContainerProxy,
) -> None:
    await container.create_item({"id": "a", "pk": "p", "ttl": 1})
    await asyncio.sleep(1.1)
    assert await ids(container) == ["a"]


async def test_a_new_default_applies_to_items_that_are_there(database: DatabaseProxy) -> None:
    container = await database.create_container("retimed", PartitionKey("/pk"))
    await container.create_item({"id": "a", "pk": "p"})
    await container.create_item({"id": "b", "pk": "p", "ttl": -1})
    await asyncio.sleep(1.1)
    await database.replace_container(container, PartitionKey("/pk"), default_ttl=1)
    assert await ids(container) == ["b"]
    await database.replace_container(container, PartitionKey("/pk"))
    assert await ids(container) == ["a", "b"]


@pytest.mark.parametrize("ttl", [0, -2, 1.5, "60", True, 2**31])
async def test_a_ttl_that_is_none_is_refused(database: DatabaseProxy, ttl: Any) -> None:
    container = await database.create_container_if_not_exists(
        "ttl-bad", PartitionKey("/pk"), default_ttl=-1
    )
    with pytest.raises(exceptions.CosmosHttpResponseError, match="ttl"):
        await container.create_item({"id": "a", "pk": "p", "ttl": ttl})


async def test_the_purge_deletes_in_steps_and_only_what_has_expired(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.db")
    catalog, items = Catalog(store), Items(store)
    definition = {
        "id": "c",
        "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 2},
        "defaultTtl": 10,
    }
    container = catalog.create_container(catalog.create_database({"id": "d"}), definition)
    key = container.partition_key.parse_header('["p"]')
    with transaction(store, container) as tx:
        for n in range(7):
            items.create(tx, key, {"id": str(n), "pk": "p", "ttl": 10 if n < 5 else 100})
        later = tx.now + 11
    assert [items.purge(container, later, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert store.read(f"SELECT count(*) FROM {container.table}").fetchone() == (2,)
    store.close()
