"""The change feed through the official client."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from azure.cosmos.aio import ContainerProxy


async def read(container: ContainerProxy, **options: Any) -> tuple[list[str], str]:
    """The ids of all changes and the token to go on with."""
    changes = container.query_items_change_feed(**options)
    found = [item["id"] async for item in changes]
    return found, container.client_connection.last_response_headers["etag"]


async def write(container: ContainerProxy, *ids: str, pk: str = "p") -> None:
    for id_ in ids:
        await container.upsert_item({"id": id_, "pk": pk})


async def test_latest_versions_in_order_of_their_writes(container: ContainerProxy) -> None:
    await write(container, "a", "b", "c")
    await write(container, "a")
    await container.delete_item("c", "p")
    found, token = await read(container, start_time="Beginning")
    assert found == ["b", "a"]
    assert await read(container, continuation=token) == ([], token)
    await write(container, "d", pk="q")
    assert (await read(container, continuation=token))[0] == ["d"]


async def test_pages_lead_through_all_changes_once(container: ContainerProxy) -> None:
    await write(container, *map(str, range(25)))
    changes = container.query_items_change_feed(start_time="Beginning", max_item_count=4).by_page()
    pages = [[item["id"] async for item in page] async for page in changes]
    assert [len(page) for page in pages if page] == [4] * 6 + [1]
    assert [id_ for page in pages for id_ in page] == [str(n) for n in range(25)]


async def test_writes_between_pages_are_seen_and_nothing_is_lost(
    container: ContainerProxy,
) -> None:
    await write(container, *map(str, range(6)))
    found: list[str] = []
    token: dict[str, Any] = {"start_time": "Beginning"}
    for extra in ["5", "new", "0", None]:
        pages = container.query_items_change_feed(**token, max_item_count=3).by_page()
        found += [item["id"] async for item in await anext(pages)]
        token = {"continuation": container.client_connection.last_response_headers["etag"]}
        if extra is not None:
            await write(container, extra)
    assert found == ["0", "1", "2", "3", "4", "5", "new", "0"]


async def test_from_now_and_from_a_time(container: ContainerProxy) -> None:
    await write(container, "old")
    found, now = await read(container, start_time="Now")
    assert found == []
    await asyncio.sleep(1.05 - datetime.now(UTC).microsecond / 1e6)  # times count in seconds
    start = datetime.now(UTC)
    await write(container, "new")
    assert (await read(container, continuation=now))[0] == ["new"]
    assert (await read(container, start_time=start))[0] == ["new"]
    assert (await read(container, start_time=datetime(2020, 1, 1, tzinfo=UTC)))[0] == ["old", "new"]
    assert (await read(container, start_time=datetime(2100, 1, 1, tzinfo=UTC)))[0] == []


async def test_one_partition_key_or_one_feed_range(container: ContainerProxy) -> None:
    await write(container, "a", "b", pk="p")
    await write(container, "c", pk="q")
    found, token = await read(container, partition_key="p", start_time="Beginning")
    assert found == ["a", "b"]
    await write(container, "d", pk="q")
    await write(container, "a", pk="p")
    assert (await read(container, continuation=token))[0] == ["a"]
    (whole,) = [feed_range async for feed_range in container.read_feed_ranges()]
    found, _ = await read(container, feed_range=whole, start_time="Beginning")
    assert found == ["b", "c", "d", "a"]
    part = await container.feed_range_from_partition_key("q")
    found, _ = await read(container, feed_range=part, start_time="Beginning")
    assert found == ["c", "d"]


async def test_a_batch_is_never_split_between_pages(container: ContainerProxy) -> None:
    creates = [("create", ({"id": str(n), "pk": "p"},)) for n in range(10)]
    await container.execute_item_batch(creates, "p")
    await write(container, "last")
    changes = container.query_items_change_feed(start_time="Beginning", max_item_count=4).by_page()
    first = [item async for item in await anext(changes)]
    assert [item["id"] for item in first] == [str(n) for n in range(10)]
    assert len({item["_lsn"] for item in first}) == 1
    assert [item["id"] async for item in await anext(changes)] == ["last"]
