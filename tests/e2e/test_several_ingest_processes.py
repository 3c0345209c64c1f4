"""Ingest processes come, go, die and stand still: every message once, in order, and soon."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from azure.servicebus import ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient

from emulator.eventhubs.nodes import partition_of
from tests.free_ports import free_ports
from tests.ingest.local_platform import Owner, Platform, body_of, eventually, properties_of
from tests.ingest.mqtt_gateway import Gateway
from tests.load.process import queued_seconds

PARTITIONS = 4
PAUSE_SECONDS = 0.8  # between a gateway's messages
# They are as many as the machine needs time.
UNLIMITED = {"MYMOTE_INGEST_QUOTA_DATA": "1000000"}
TAKEN_OVER_SECONDS = 15.0  # from the end of a process to its partitions' next message
EXPIRES_SECONDS = 10.0  # the ownership of a process that does not renew it


@dataclass
class Journey:
    """A gateway's messages: when each was acknowledged to it, and which came when."""

    gateway: Gateway
    owner: Owner
    sent: list[float] = field(default_factory=list)
    came: list[tuple[int, float]] = field(default_factory=list)

    def first_after(self, moment: float) -> float:
        """Seconds until a message that was sent after a moment came."""
        number = next(n for n, sent in enumerate(self.sent) if sent > moment)
        return next(came for arrived, came in self.came if arrived >= number) - moment

    def arrived_after(self, moment: float) -> bool:
        """Whether a message that was sent after a moment has come."""
        numbers = {number for number, sent in enumerate(self.sent) if sent > moment}
        return any(number in numbers for number, _ in self.came)  # its acknowledgement may be later


@pytest.mark.timeout(300)  # it waits for the expiry and for four starts, and sends meanwhile
async def test_processes_join_leave_die_and_stand_still(platform: Platform) -> None:
    stack = platform.stack
    await stack.processes["ingest"].stop()
    try:
        await stack.start_service("ingest", extra=UNLIMITED)
        for name in ("ingest-2", "ingest-3"):
            await stack.start_service(name, port=free_ports(1)[0], extra=UNLIMITED)
        async with traffic(platform) as journeys:
            await all_work(platform, "ingest", "ingest-2", "ingest-3")  # they joined
            await stack.processes["ingest-2"].kill()
            stack.processes["ingest-3"].pause()
            died, queued = time.monotonic(), queued_seconds(os.getpid())
            await all_arrived_since(journeys, died)
            others_ran = queued_seconds(os.getpid()) - queued

            stack.processes["ingest-3"].resume()
            await all_work(platform, "ingest-3")  # it took partitions again

            await stack.processes["ingest"].stop()
            left, queued = time.monotonic(), queued_seconds(os.getpid())
            await all_arrived_since(journeys, left)
            others_ran_then = queued_seconds(os.getpid()) - queued

        taken_over = max(each.first_after(died) for each in journeys)
        handed_over = max(each.first_after(left) for each in journeys)
        assert EXPIRES_SECONDS / 2 < taken_over < TAKEN_OVER_SECONDS + others_ran
        assert handed_over < EXPIRES_SECONDS + others_ran_then
        for journey in journeys:
            assert [number for number, _ in journey.came] == list(range(len(journey.sent)))
            await platform.counted(journey.owner, journey.gateway, len(journey.sent))
    finally:
        for name in ("ingest", "ingest-2", "ingest-3"):
            await stack.processes[name].stop()
        await stack.start_service("ingest")


@asynccontextmanager
async def traffic(platform: Platform) -> AsyncIterator[list[Journey]]:
    """Gateways in all partitions that send all the time; at the end everything has come."""
    owners = [await platform.owner() for _ in range(3)]
    journeys = [each async for each in new_journeys(platform, owners)]
    stopping = asyncio.Event()
    async with AsyncExitStack() as connections, asyncio.TaskGroup() as tasks:
        for journey in journeys:
            await connections.enter_async_context(journey.gateway)
            tasks.create_task(send(journey, stopping))
        readers = [tasks.create_task(read(owner, journeys)) for owner in owners]
        yield journeys
        stopping.set()
        await eventually(lambda: all_came(journeys))
        await asyncio.sleep(1)  # for what should not come
        for reader in readers:
            reader.cancel()


async def new_journeys(platform: Platform, owners: list[Owner]) -> AsyncIterator[Journey]:
    """At least two in each partition of the stream."""
    there = Counter(dict.fromkeys(range(PARTITIONS), 0))
    while min(there.values()) < 2:
        owner = owners[there.total() % len(owners)]
        gateway = await platform.gateway(owner)
        there[partition_of(gateway.device_id, PARTITIONS)] += 1
        yield Journey(gateway, owner)


async def send(journey: Journey, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        journey.gateway.send(str(len(journey.sent)).encode())
        await journey.gateway.delivered()
        journey.sent.append(time.monotonic())
        await asyncio.sleep(PAUSE_SECONDS)


async def read(owner: Owner, journeys: list[Journey]) -> None:
    """Take what comes to an account's queue until cancelled."""
    mine = {each.gateway.device_id: each for each in journeys if each.owner is owner}
    async with (
        ServiceBusClient.from_connection_string(owner.queue_connection_string) as client,
        client.get_queue_receiver(
            f"user-{owner.user_id}", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE
        ) as receiver,
    ):
        async for message in receiver:
            journey = mine[properties_of(message)["iothub-connection-device-id"]]
            journey.came.append((int(body_of(message)), time.monotonic()))


async def all_work(platform: Platform, *names: str) -> None:
    """Wait until each of the processes has a partition and commits to it."""
    before = {name: await commits(platform, name) for name in names}

    async def working() -> bool:
        return all([await commits(platform, name) > before[name] for name in names])

    await eventually(working)


async def commits(platform: Platform, name: str) -> float:
    async with httpx.AsyncClient(base_url=platform.stack.url(name)) as client:
        try:
            lines = (await client.get("/metrics")).text.splitlines()
        except httpx.TransportError:  # it starts
            return 0.0
    (line,) = [each for each in lines if each.startswith("mymote_ingest_commits_total ")]
    return float(line.split()[1])


async def all_arrived_since(journeys: list[Journey], moment: float) -> None:
    async def arrived() -> bool:
        return all(each.arrived_after(moment) for each in journeys)

    await eventually(arrived)


async def all_came(journeys: list[Journey]) -> bool:
    return all(len(each.came) >= len(each.sent) for each in journeys)
