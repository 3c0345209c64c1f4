"""A partition of the stream that a test makes up, and a process that works on it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from services.ingest.logic.effects import DEVICE_ID
from services.ingest.logic.events import RawEvent
from services.ingest.logic.partition import Partition
from services.ingest.logic.pipeline import Pipeline
from services.ingest.logic.tending import Tending
from shared.database import PARKED, STREAM
from tests.ingest.local_platform import Owner, Platform, body_of, properties_of, receive
from tests.ingest.made_events import raw_event
from tests.ingest.mqtt_gateway import Gateway


@dataclass
class MadeStream:
    """Events in order; each gateway numbers its own."""

    name: str = field(default_factory=lambda: f"made-{token_hex(4)}/0")
    events: list[RawEvent] = field(default_factory=list)
    mids: dict[str, int] = field(default_factory=dict)
    created: str | None = None  # when the gateways stored all of it, by their clocks

    def add(self, gateway: Gateway, body: bytes | None = None, **properties: str) -> RawEvent:
        """The gateway's next message; its number is the body where none is given."""
        mid = self.mids.get(gateway.device_id, 0) + 1
        self.mids[gateway.device_id] = mid
        event = raw_event(
            len(self.events),
            f"{mid}".encode() if body is None else body,
            device_id=gateway.device_id,
            mid=str(mid),
            created=self.created,
            enqueued_at=datetime.now(UTC),
            **properties,
        )
        self.events.append(event)
        return event

    def add_round(self, *gateways: Gateway, times: int = 1) -> list[RawEvent]:
        """A message of each gateway, so many times."""
        return [self.add(gateway) for _ in range(times) for gateway in gateways]

    def bodies(self, gateway: Gateway, first: int = 1) -> list[bytes]:
        """What `add` made up for a gateway, from a number on."""
        return [f"{n}".encode() for n in range(first, self.mids[gateway.device_id] + 1)]


@asynccontextmanager
async def working(path: tuple[Pipeline, Tending], stream: MadeStream) -> AsyncIterator[Partition]:
    """A process that has the partition, and tends it."""
    pipeline, tending = path
    partition = pipeline.partition(stream.name)
    await partition.read()
    task = asyncio.create_task(tending.run(partition))
    try:
        yield partition
    finally:
        task.cancel()
        await asyncio.wait([task])


async def taken(owner: Owner, count: int, *gateways: Gateway) -> list[list[bytes]]:
    """What is on the account's queue of each gateway, in order; of no other gateway is any."""
    messages = await receive(owner, count, quiet=0.3)
    found: dict[str, list[bytes]] = {gateway.device_id: [] for gateway in gateways}
    for each in messages:
        device_id = properties_of(each).get(DEVICE_ID)
        if device_id is not None:  # not what a test filled the queue with
            found[device_id].append(body_of(each))
    return list(found.values())


async def parked(platform: Platform, holder: str, reason: str = "refused") -> list[dict[str, Any]]:
    found = await platform.all_of(PARKED.name, holder)
    return [each for each in found if each["reason"] == reason]


async def committed(platform: Platform, stream: MadeStream) -> dict[str, dict[str, Any]]:
    """What is committed of the partition, by id."""
    return {each["id"]: each for each in await platform.all_of(STREAM.name, stream.name)}
