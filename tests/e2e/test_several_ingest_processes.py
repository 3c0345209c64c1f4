"""Ingest processes come, go, die and stand still: every message once, in order, and soon."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import httpx
from azure.servicebus import ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient

from emulator.eventhubs.nodes import partition_of
from tests.free_ports import free_ports
from tests.ingest.local_platform import Owner, Platform, body_of, eventually, properties_of
from tests.ingest.mqtt_gateway import Gateway

PARTITIONS = 4
PAUSE_SECONDS = 0.8  # between a gateway's messages, of which 100 a day are its quota
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
        return any(self.sent[number] > moment for number, _ in self.came)


async def test_processes_join_leave_die_and_stand_still(platform: Platform) -> None:
    stack = platform.stack
    try:
        for name in ("ingest-2", "ingest-3"):
            await stack.start_service(name, port=free_ports(1)[0])
        async with traffic(platform) as journeys:
            await all_work(platform, "ingest", "ingest-2", "ingest-3")  # they joined
            died = time.monotonic()
            await stack.processes["ingest-2"].kill()
            stack.processes["ingest-3"].pause()
            await all_arrived_since(journeys, died)

            stack.processes["ingest-3"].resume()
            await all_work(platform, "ingest-3")  # it took partitions again

            left = time.monotonic()
            await stack.processes["ingest"].stop()
            await all_arrived_since(journeys, left)
        await stack.restart("ingest")

        taken_over = max(each.first_after(died) for each in journeys)
        handed_over = max(each.first_after(left) for each in journeys)
        assert EXPIRES_SECONDS / 2 < taken_over < TAKEN_OVER_SECONDS
        assert handed_over < EXPIRES_SECONDS
        for journey in journeys:
            assert [number for number, _ in journey.came] == list(range(len(journey.sent)))
        await eventually(lambda: all_counted(platform, journeys))
    finally:
        for name in ("ingest-2", "ingest-3"):
            await stack.processes[name].stop()


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

    await eventually(arrived, seconds=30)


async def all_came(journeys: list[Journey]) -> bool:
    return all(len(each.came) >= len(each.sent) for each in journeys)


async def all_counted(platform: Platform, journeys: list[Journey]) -> bool:
    """Whether the statistics have reached what was sent; they never pass it."""
    counted = []
    for each in journeys:
        ledger = await platform.ledger(each.owner, each.gateway)
        assert ledger.messages <= len(each.sent)
        counted.append(ledger.messages == len(each.sent))
    return all(counted)
