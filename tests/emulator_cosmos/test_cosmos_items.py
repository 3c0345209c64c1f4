"""Items through the official client."""

import asyncio
from typing import Any

import pytest
from azure.core import MatchConditions
from azure.cosmos import exceptions
from azure.cosmos.aio import ContainerProxy, CosmosClient, DatabaseProxy
from azure.cosmos.partition_key import NonePartitionKeyValue, PartitionKey

from tests.emulator_cosmos.service import KEY


async def test_a_created_item_is_read_back_with_its_system_properties(
    container: ContainerProxy,
) -> None:
    body = {"id": "a", "pk": "p", "text": "grüße \U0001f600", "nested": {"list": [1, 2.5, None]}}
    created = await container.create_item(body)
    read = await container.read_item("a", "p")
    assert read == created
    assert {name: read[name] for name in body} == body
    assert read["_etag"] == read.get_response_headers()["etag"]
    assert read["_self"].endswith(f"/docs/{read['_rid']}/")
    assert read["_ts"] > 1_700_000_000
    assert read["_attachments"] == "attachments/"


async def test_an_item_can_be_addressed_by_its_self_link(container: ContainerProxy) -> None:
    item = await container.create_item({"id": "a", "pk": "p"})
    assert (await container.read_item(item, "p"))["id"] == "a"
    await container.delete_item(item, "p")
    with pytest.raises(exceptions.CosmosResourceNotFoundError):
        await container.read_item(item, "p")


async def test_ids_are_unique_within_a_partition_only(container: ContainerProxy) -> None:
    await container.create_item({"id": "a", "pk": "p"})
    await container.create_item({"id": "a", "pk": "q"})
    with pytest.raises(exceptions.CosmosResourceExistsError):
        await container.create_item({"id": "a", "pk": "p"})


@pytest.mark.parametrize("pk", ["", "ü/?#", 1, 1.5, True, False, None, "x" * 2000])
async def test_every_kind_of_partition_key(container: ContainerProxy, pk: Any) -> None:
    await container.create_item({"id": "a", "pk": pk})
    key: Any = pk
    assert (await container.read_item("a", key))["pk"] == pk
    found = [item async for item in container.query_items("SELECT * FROM c", partition_key=key)]
    assert [item["pk"] for item in found] == [pk]


async def test_true_and_one_are_different_partitions(container: ContainerProxy) -> None:
    await container.create_item({"id": "a", "pk": True})
    with pytest.raises(exceptions.CosmosResourceNotFoundError):
        await container.read_item("a", 1)


async def test_an_item_without_partition_key(container: ContainerProxy) -> None:
    await container.create_item({"id": "a"})
    assert (await container.read_item("a", NonePartitionKeyValue))["id"] == "a"


async def test_upsert_creates_and_replaces(container: ContainerProxy) -> None:
    first = await container.upsert_item({"id": "a", "pk": "p", "n": 1})
    second = await container.upsert_item({"id": "a", "pk": "p", "n": 2})
    assert first["_rid"] == second["_rid"]
    assert first["_etag"] != second["_etag"]
    assert (await container.read_item("a", "p"))["n"] == 2


async def test_replace_and_delete_need_the_item(container: ContainerProxy) -> None:
    with pytest.raises(exceptions.CosmosResourceNotFoundError):
        await container.replace_item("a", {"id": "a", "pk": "p"})
    with pytest.raises(exceptions.CosmosResourceNotFoundError):
        await container.delete_item("a", "p")


async def test_a_stale_etag_is_refused_with_412(container: ContainerProxy) -> None:
    old = await container.create_item({"id": "a", "pk": "p", "n": 1})
    new = await container.replace_item("a", old | {"n": 2})
    stale: dict[str, Any] = {"etag": old["_etag"], "match_condition": MatchConditions.IfNotModified}
    refused = exceptions.CosmosAccessConditionFailedError
    with pytest.raises(refused):
        await container.replace_item("a", old | {"n": 3}, **stale)
    with pytest.raises(refused):
        await container.upsert_item(old | {"n": 3}, **stale)
    with pytest.raises(refused):
        await container.delete_item("a", "p", **stale)
    with pytest.raises(refused):
        await container.patch_item("a", "p", [{"op": "incr", "path": "/n", "value": 1}], **stale)
    current: dict[str, Any] = stale | {"etag": new["_etag"]}
    await container.replace_item("a", new | {"n": 4}, **current)


async def test_upsert_with_an_etag_creates_what_is_missing_as_azure_does(
    container: ContainerProxy,
) -> None:
    condition = MatchConditions.IfNotModified
    item = {"id": "a", "pk": "p"}
    await container.upsert_item(item, etag='"none"', match_condition=condition)
    assert (await container.read_item("a", "p"))["id"] == "a"


async def test_of_two_writers_on_one_etag_exactly_one_wins(container: ContainerProxy) -> None:
    item = await container.create_item({"id": "a", "pk": "p", "n": 0})

    async def write(n: int) -> bool:
        try:
            await container.replace_item(
                "a",
                dict(item) | {"n": n},
                etag=item["_etag"],
                match_condition=MatchConditions.IfNotModified,
            )
        except exceptions.CosmosAccessConditionFailedError:
            return False
        return True

    assert sorted(await asyncio.gather(*map(write, range(1, 9)))) == [False] * 7 + [True]


async def test_concurrent_increments_all_count(container: ContainerProxy) -> None:
    await container.create_item({"id": "a", "pk": "p", "n": 0})
    step = [{"op": "incr", "path": "/n", "value": 1}]
    await asyncio.gather(*(container.patch_item("a", "p", step) for _ in range(30)))
    assert (await container.read_item("a", "p"))["n"] == 30


async def test_patch_with_a_condition(container: ContainerProxy) -> None:
    await container.create_item({"id": "a", "pk": "p", "n": 1, "tags": ["x"]})
    changed = await container.patch_item(
        "a",
        "p",
        [{"op": "set", "path": "/n", "value": 2}, {"op": "add", "path": "/tags/-", "value": "y"}],
        filter_predicate="from c where c.n = 1 and ARRAY_CONTAINS(c.tags, 'x')",
    )
    assert (changed["n"], changed["tags"]) == (2, ["x", "y"])
    with pytest.raises(exceptions.CosmosAccessConditionFailedError):
        await container.patch_item(
            "a", "p", [{"op": "remove", "path": "/n"}], filter_predicate="from c where c.n = 1"
        )
    with pytest.raises(exceptions.CosmosHttpResponseError, match="BadRequest"):
        await container.patch_item("a", "p", [{"op": "replace", "path": "/none", "value": 1}])
    assert (await container.read_item("a", "p"))["n"] == 2


async def test_a_minimal_reply_carries_the_etag_only(container: ContainerProxy) -> None:
    reply = await container.create_item({"id": "a", "pk": "p"}, no_response=True)
    assert dict(reply) == {}
    item = await container.read_item("a", "p")
    assert reply.get_response_headers()["etag"] == item["_etag"]


async def test_a_unique_key_holds_within_a_partition(database: DatabaseProxy) -> None:
    policy: dict[str, Any] = {"uniqueKeys": [{"paths": ["/mail"]}, {"paths": ["/a/b", "/c"]}]}
    container = await database.create_container(
        "unique", PartitionKey("/pk"), unique_key_policy=policy
    )
    taken = exceptions.CosmosResourceExistsError
    await container.create_item({"id": "1", "pk": "p", "mail": "x", "c": 1})
    with pytest.raises(taken):
        await container.create_item({"id": "2", "pk": "p", "mail": "x", "c": 2})
    with pytest.raises(taken):
        await container.create_item({"id": "2", "pk": "p", "mail": "y", "c": 1})
    await container.create_item({"id": "2", "pk": "q", "mail": "x"})
    await container.create_item({"id": "2", "pk": "p", "mail": "y", "c": 2})
    with pytest.raises(taken):
        await container.patch_item("2", "p", [{"op": "set", "path": "/mail", "value": "x"}])
    assert (await container.read_item("2", "p"))["mail"] == "y"
    await container.upsert_item({"id": "1", "pk": "p", "mail": "z", "c": 1})
    await container.patch_item("2", "p", [{"op": "set", "path": "/mail", "value": "x"}])
    await container.delete_item("2", "p")
    await container.create_item({"id": "3", "pk": "p", "mail": "x", "c": 2})


async def test_hierarchical_partition_keys(database: DatabaseProxy) -> None:
    key = PartitionKey(["/tenant", "/device/id"])
    container = await database.create_container("hierarchical", key)
    for tenant, device in [("t1", "d1"), ("t1", "d2"), ("t2", "d1")]:
        item = {"id": f"{tenant}-{device}", "tenant": tenant, "device": {"id": device}}
        await container.create_item(item)
    read = await container.read_item("t1-d2", ["t1", "d2"])
    assert read["device"]["id"] == "d2"
    everything = "SELECT VALUE c.device.id FROM c"
    level: Any = ["t1", "d1"]
    found: list[Any] = [x async for x in container.query_items(everything, partition_key=level)]
    assert found == ["d1"]
    prefix: Any = ["t1"]
    found = [x async for x in container.query_items(everything, partition_key=prefix)]
    assert sorted(found) == ["d1", "d2"]
    wanted: Any = [("t1-d1", ["t1", "d1"]), ("t2-d1", ["t2", "d1"])]
    many = await container.read_items(wanted)
    assert [item["id"] for item in many] == ["t1-d1", "t2-d1"]
    changes = container.query_items_change_feed(partition_key=["t1", "d2"], start_time="Beginning")
    assert [item["device"]["id"] async for item in changes] == ["d2"]


async def test_charges_grow_with_size_and_kind(container: ContainerProxy) -> None:
    def charge(reply: Any) -> float:
        return float(reply.get_response_headers()["x-ms-request-charge"])

    small = await container.create_item({"id": "small", "pk": "p"})
    large = await container.create_item({"id": "large", "pk": "p", "text": "x" * 100 * 1024})
    assert charge(small) == pytest.approx(5, abs=0.5)
    assert charge(large) == pytest.approx(50, rel=0.05)
    read = await container.read_item("small", "p")
    assert charge(read) == 2  # strong: twice the 1 RU of a point read
    assert charge(await container.upsert_item({"id": "small", "pk": "p"})) == pytest.approx(
        10, abs=0.5
    )


async def test_session_consistency_reads_its_own_writes(endpoint: str) -> None:
    async with CosmosClient(endpoint, KEY, consistency_level="Session") as client:
        database = await client.create_database("session")
        container = await database.create_container("c", PartitionKey("/pk"))
        for n in range(3):
            item = await container.upsert_item({"id": "a", "pk": "p", "n": n})
            assert item.get_response_headers()["x-ms-session-token"].startswith("0:-1#")
            assert (await container.read_item("a", "p"))["n"] == n
        found = [x["n"] async for x in container.query_items("SELECT * FROM c", partition_key="p")]
        assert found == [2]
        await client.delete_database("session")
