"""What Cosmos DB takes at once, met with the largest that gateways can make of it."""

import asyncio
from datetime import UTC, datetime

from services.ingest.logic.decode import decode
from services.ingest.logic.events import Message
from services.ingest.logic.parking import parked as document
from services.ingest.resources import Resources
from tests.ingest.local_platform import Platform
from tests.ingest.made_events import raw_event
from tests.ingest.made_stream import MadeStream, parked

HUB_BYTES = 256 * 1024  # of a message with its properties, IoT Hub's limit


async def test_many_messages_with_properties_that_are_not_ascii(
    platform: Platform, ingest: Resources
) -> None:
    """Each of their characters takes six bytes on the wire."""
    owner = await platform.owner()
    event = decode(raw_event(0, note="\N{LATIN SMALL LETTER E WITH ACUTE}" * 5500))
    assert isinstance(event.content, Message)
    documents = [
        document(
            event,
            event.content,
            message_id=f"{n}",
            holder=owner.user_id,
            reason="refused",
            detail="",
            stream=MadeStream().name,
        )
        for n in range(110)
    ]
    async with asyncio.timeout(10):
        await ingest.stores.parked.put(documents)
    assert len(await parked(platform, owner.user_id)) == 110


async def test_malformed_messages_as_large_as_the_hub_takes(
    platform: Platform, ingest: Resources
) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    now = datetime.now(UTC)
    bodies = {"body": b"x" * (HUB_BYTES - 100), "properties": b"", "replaced": b""}
    notes: dict[str, str | bytes] = {
        "body": "",
        "properties": "\N{GRINNING FACE}" * ((HUB_BYTES - 100) // 4),
        "replaced": b"\xff" * (HUB_BYTES - 100),
    }
    events = [
        raw_event(
            n, body, device_id=gateway.device_id, mid=f"{n + 1}", enqueued_at=now, note=notes[name]
        )
        for n, (name, body) in enumerate(bodies.items())
    ]
    stream = MadeStream()
    async with asyncio.timeout(10):
        await ingest.pipeline.process(ingest.pipeline.partition(stream.name), events)
    assert len(await parked(platform, owner.user_id, "malformed")) == len(events)
