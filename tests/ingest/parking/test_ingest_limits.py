"""Bounds, met with the largest and the most that gateways can make."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from azure.servicebus.management import EntityStatus

from services.ingest.logic import held
from services.ingest.logic.decode import decode
from services.ingest.logic.events import Message
from services.ingest.logic.parking import parked as document
from services.ingest.resources import Resources, message_path
from services.ingest.settings import IngestSettings
from services.ingest.store.parked import ParkedStore
from shared.schemas.documents import ParkedMessage
from tests.ingest import refusing_queues
from tests.ingest.local_platform import Platform
from tests.ingest.made_events import raw_event
from tests.ingest.made_stream import MadeStream, parked, taken, working

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
    async with asyncio.timeout(60):
        await ingest.stores.parked.put(documents)
    assert len(await parked(platform, owner.user_id)) == 110


class Watched:
    """What is parked, and in which order accounts' pages of it are read."""

    def __init__(self, inner: ParkedStore) -> None:
        self._inner = inner
        self.pages: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def refused(self, user_id: str, stream: str) -> list[ParkedMessage]:
        self.pages.append(user_id)
        return await self._inner.refused(user_id, stream)


async def test_a_long_backlog_keeps_no_other_account_waiting(
    platform: Platform, ingest: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = [await platform.owner() for _ in range(2)]
    gateways = [await platform.gateway(owner) for owner in owners]
    stream = MadeStream()
    for owner in owners:
        await refusing_queues.set_status(platform, owner, EntityStatus.DISABLED)
    partition = ingest.pipeline.partition(stream.name)
    await ingest.pipeline.process(partition, stream.add_round(*gateways, times=250))
    for owner in owners:
        await refusing_queues.set_status(platform, owner, EntityStatus.ACTIVE)
    monkeypatch.setattr(held, "FIRST_SECONDS", 0.0)
    watched = Watched(ingest.stores.parked)
    stores = replace(ingest.stores, parked=cast(ParkedStore, watched))
    settings = IngestSettings(concurrent_drains=1)
    async with working(message_path(settings, stores), stream):
        for owner, gateway in zip(owners, gateways, strict=True):
            assert await taken(owner, 250, gateway) == [stream.bodies(gateway)]
    assert set(watched.pages[:2]) == {owner.user_id for owner in owners}


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
    async with asyncio.timeout(60):
        await ingest.pipeline.process(ingest.pipeline.partition(stream.name), events)
    assert len(await parked(platform, owner.user_id, "malformed")) == len(events)
