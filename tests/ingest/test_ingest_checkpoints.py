"""Ingest goes on from the position in Cosmos DB, whatever became of the blobs."""

import httpx
from azure.eventhub.aio import EventHubConsumerClient
from prometheus_client.parser import text_string_to_metric_families

from services.ingest.store.ledgers import POSITION
from shared.database import STREAM
from tests.ingest.local_platform import Platform, body_of, eventually, receive

BEFORE, AFTER = 90, 5


async def test_nothing_is_read_again_when_the_checkpoints_are_lost(platform: Platform) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    process = platform.stack.processes["ingest"]
    bodies = [f"{n}".encode() for n in range(BEFORE + AFTER)]
    async with gateway:
        for body in bodies[:BEFORE]:
            gateway.send(body, type="notification", level="1")
        await gateway.delivered()
        await eventually(lambda: all_committed(platform))
        await process.stop()
        before = await committed(platform)
        assert sum(before.values()) >= BEFORE
        await platform.resources.azure.blob.delete_container("checkpoints")
        for body in bodies[BEFORE:]:
            gateway.send(body)
        await gateway.delivered()
        await process.start()
        messages = await receive(owner, AFTER)
    assert [body_of(each) for each in messages] == bodies[BEFORE:]

    async def nothing_again() -> bool:
        new = sum((await committed(platform)).values()) - sum(before.values())
        assert new < BEFORE
        return new >= AFTER and await received(platform) == new

    await eventually(nothing_again)  # the gateway's disconnection may still come


async def test_the_container_of_the_checkpoints_comes_again(platform: Platform) -> None:
    container = platform.resources.azure.blob.get_container_client("checkpoints")

    async def owned() -> bool:
        if not await container.exists():
            return False
        return any(
            [each.name async for each in container.list_blobs() if "/ownership/" in each.name]
        )

    await eventually(owned)
    await container.delete_container()
    await eventually(owned)
    owner = await platform.owner()
    async with await platform.gateway(owner) as gateway:
        gateway.send(b"x")
        assert [body_of(each) for each in await receive(owner, 1)] == [b"x"]


async def committed(platform: Platform) -> dict[str, int]:
    """How many events of each partition are committed."""
    stream = platform.resources.azure.database.get_container_client(STREAM.name)
    found = stream.query_items(f"SELECT * FROM c WHERE c.id = '{POSITION}'")
    return {
        each["partition"]: each["sequence_number"] + 1
        async for each in found
        if each["partition"].startswith("mymote/")
    }


async def all_committed(platform: Platform) -> bool:
    """Whether ingest is through with everything that the stream has."""
    client = EventHubConsumerClient.from_connection_string(
        platform.stack.endpoints.eventhub, "$Default"
    )
    async with client:
        partitions = [
            await client.get_partition_properties(each) for each in await client.get_partition_ids()
        ]
    done = await committed(platform)
    return all(
        done.get(f"mymote/{each['id']}", 0) == each["last_enqueued_sequence_number"] + 1
        for each in partitions
    )


async def received(platform: Platform) -> int:
    """How many events this process of ingest had from the stream, those it skipped included."""
    async with httpx.AsyncClient(base_url=platform.stack.url("ingest"), timeout=60) as client:
        text = (await client.get("/metrics")).text
    return next(
        int(sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "mymote_ingest_batch_events_sum"
    )
