"""Transactional batches through the official client."""

from typing import Any

import pytest
from azure.cosmos import exceptions
from azure.cosmos.aio import ContainerProxy


async def ids(container: ContainerProxy) -> list[str]:
    return sorted([item["id"] async for item in container.read_all_items()])


async def test_every_kind_of_operation(container: ContainerProxy) -> None:
    old = await container.create_item({"id": "old", "pk": "p", "n": 1})
    await container.create_item({"id": "gone", "pk": "p"})
    operations: list[Any] = [
        ("create", ({"id": "new", "pk": "p", "n": 1},)),
        ("upsert", ({"id": "up", "pk": "p"},)),
        ("upsert", ({"id": "up", "pk": "p", "again": True},)),
        ("read", ("old",)),
        ("replace", ("old", {"id": "old", "pk": "p", "n": 2}), {"if_match_etag": old["_etag"]}),
        ("patch", ("new", [{"op": "incr", "path": "/n", "value": 4}]),
         {"filter_predicate": "from c where c.n = 1"}),
        ("delete", ("gone",)),
    ]  # fmt: skip
    reply = await container.execute_item_batch(operations, "p")
    assert [result["statusCode"] for result in reply] == [201, 201, 200, 200, 200, 200, 204]
    assert reply[3]["resourceBody"]["n"] == 1
    assert reply[5]["resourceBody"]["n"] == 5
    assert reply[5]["eTag"] == (await container.read_item("new", "p"))["_etag"]
    charge = float(reply.get_response_headers()["x-ms-request-charge"])
    assert charge == pytest.approx(sum(result["requestCharge"] for result in reply))
    assert await ids(container) == ["new", "old", "up"]


@pytest.mark.parametrize(
    ("failing", "status"),
    [
        (("create", ({"id": "taken", "pk": "p"},)), 409),
        (("create", ({"id": "x", "pk": "other"},)), 400),
        (("replace", ("none", {"id": "none", "pk": "p"})), 404),
        (("delete", ("none",)), 404),
        (("read", ("none",)), 404),
        (("patch", ("taken", [{"op": "replace", "path": "/none", "value": 1}])), 400),
        (("patch", ("taken", [{"op": "set", "path": "/n", "value": 1}]),
          {"filter_predicate": "from c where c.n = 9"}), 412),
        (("replace", ("taken", {"id": "taken", "pk": "p"}), {"if_match_etag": '"old"'}), 412),
        (("upsert", ({"id": "taken", "pk": "p"},), {"if_match_etag": '"old"'}), 412),
        (("delete", ("taken",), {"if_match_etag": '"old"'}), 412),
    ],
)  # fmt: skip
async def test_where_one_fails_nothing_happened(
    container: ContainerProxy, failing: Any, status: int
) -> None:
    before = await container.create_item({"id": "taken", "pk": "p", "n": 0})
    operations = [
        ("create", ({"id": "new", "pk": "p"},)),
        ("patch", ("taken", [{"op": "incr", "path": "/n", "value": 1}])),
        failing,
        ("create", ({"id": "later", "pk": "p"},)),
    ]
    with pytest.raises(exceptions.CosmosBatchOperationError) as failed:
        await container.execute_item_batch(operations, "p")
    assert (failed.value.error_index, failed.value.status_code) == (2, status)
    assert [r["statusCode"] for r in failed.value.operation_responses] == [424, 424, status, 424]
    assert await ids(container) == ["taken"]
    assert await container.read_item("taken", "p") == before
    await container.create_item({"id": "after", "pk": "p"})  # the container is as usable as before


async def test_limits(container: ContainerProxy) -> None:
    def creates(count: int, size: int = 1) -> list[Any]:
        text = "x" * size
        return [("create", ({"id": str(n), "pk": "p", "text": text},)) for n in range(count)]

    refused = exceptions.CosmosHttpResponseError
    with pytest.raises(refused, match="BadRequest"):
        await container.execute_item_batch(creates(101), "p")
    with pytest.raises(refused) as large:
        await container.execute_item_batch(creates(3, 700 * 1024), "p")
    assert large.value.status_code == 413
    assert await ids(container) == []
    assert len(await container.execute_item_batch(creates(100), "p")) == 100
