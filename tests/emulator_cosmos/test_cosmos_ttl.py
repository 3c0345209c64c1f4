"""Time to live."""

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.cosmos import exceptions
from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.partition_key import PartitionKey

from emulator.cosmos import change_feed, items, transactions
from emulator.cosmos.catalog import Catalog
from emulator.cosmos.items import Items
from emulator.cosmos.query import run
from emulator.cosmos.transactions import transaction
from emulator.store import Store

missing = exceptions.CosmosResourceNotFoundError
Wait = Callable[[float], None]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Wait:
    """Turns the service's clock forward by some seconds."""
    ahead = 0.0

    def turn(seconds: float) -> None:
        nonlocal ahead
        ahead += seconds

    clock = SimpleNamespace(time=lambda: time.time() + ahead)
    for module in (change_feed, items, run, transactions):
        monkeypatch.setattr(module, "time", clock)
    return turn


async def ids(container: ContainerProxy, query: str = "SELECT * FROM c") -> list[str]:
    return sorted([item["id"] async for item in container.query_items(query)])


async def test_expired_items_are_gone_for_every_kind_of_read(
    database: DatabaseProxy, wait: Wait
) -> None:
    container = await database.create_container("ttl", PartitionKey("/pk"), default_ttl=100)
    await container.create_item({"id": "short", "pk": "p"})
    await container.create_item({"id": "long", "pk": "p", "ttl": 6000})
    await container.create_item({"id": "ever", "pk": "p", "ttl": -1})
    assert await ids(container) == ["ever", "long", "short"]
    wait(70)
    await container.create_item({"id": "touched", "pk": "p", "n": 0})
    wait(50)
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
    await container.patch_item("touched", "p", step)  # lives another 100 seconds from here
    wait(70)
    assert (await container.read_item("touched", "p"))["n"] == 1
    again = await container.create_item({"id": "short", "pk": "p", "again": True})
    assert again["again"]


async def test_an_expired_item_frees_its_unique_key(database: DatabaseProxy, wait: Wait) -> None:
    policy: dict[str, Any] = {"uniqueKeys": [{"paths": ["/mail"]}]}
    container = await database.create_container(
        "ttl-unique", PartitionKey("/pk"), default_ttl=-1, unique_key_policy=policy
    )
    await container.create_item({"id": "a", "pk": "p", "mail": "x", "ttl": 100})
    with pytest.raises(exceptions.CosmosResourceExistsError):
        await container.create_item({"id": "b", "pk": "p", "mail": "x"})
    wait(110)
    await container.create_item({"id": "b", "pk": "p", "mail": "x"})


async def test_without_a_container_default_an_items_ttl_means_nothing(
    container: ContainerProxy, wait: Wait
) -> None:
    await container.create_item({"id": "a", "pk": "p", "ttl": 100})
    wait(110)
    assert await ids(container) == ["a"]


async def test_a_new_default_applies_to_items_that_are_there(
    database: DatabaseProxy, wait: Wait
) -> None:
    container = await database.create_container("retimed", PartitionKey("/pk"))
    await container.create_item({"id": "a", "pk": "p"})
    await container.create_item({"id": "b", "pk": "p", "ttl": -1})
    wait(110)
    await database.replace_container(container, PartitionKey("/pk"), default_ttl=100)
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
    catalog, kept = Catalog(store), Items(store)
    definition = {
        "id": "c",
        "partitionKey": {"paths": ["/pk"], "kind": "Hash", "version": 2},
        "defaultTtl": 10,
    }
    container = catalog.create_container(catalog.create_database({"id": "d"}), definition)
    key = container.partition_key.parse_header('["p"]')
    with transaction(store, container) as tx:
        for n in range(7):
            kept.create(tx, key, {"id": str(n), "pk": "p", "ttl": 10 if n < 5 else 100})
        later = tx.now + 11
    assert [kept.purge(container, later, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert store.read(f"SELECT count(*) FROM {container.table}").fetchone() == (2,)
    store.close()
