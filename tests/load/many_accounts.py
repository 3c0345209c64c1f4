"""Many accounts, one message each, while they are being made: who gets what, and at what cost."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.aio.management import ServiceBusAdministrationClient

from services.api.resources import Resources
from shared.database import STREAM
from stack.environment import NAMESPACE
from stack.local import LocalStack
from tests.load.fleet import Member, make_members
from tests.load.process import Peaks, measured, watched
from tests.load.stream import Sent, Stream, open_stream

BODY_BYTES = 200
READERS = 200  # queues that are read at the same time; opening and closing is waiting, mostly
READ_SECONDS = 20.0
PUT_SECONDS = 0.2
SHOWN = 10  # violations


@dataclass
class Result:
    """What was seen. `violations` is empty where every queue got its own message and no other."""

    accounts: int
    create_seconds: float = 0.0
    done_seconds: float = 0.0  # from the first account to the last message's commit
    cpu_seconds: float = 0.0  # ingest's, meanwhile
    partitions: int = 0  # of the stream; ingest holds a connection for each
    peaks: Peaks = field(default_factory=Peaks)  # of ingest
    senders: int = 0  # ingest's own count of its senders, at the end
    violations: list[str] = field(default_factory=list)

    @property
    def created_per_second(self) -> float:
        return self.accounts / self.create_seconds

    @property
    def behind_seconds(self) -> float:
        """How long the last message took after the last account was made."""
        return self.done_seconds - self.create_seconds

    @property
    def queue_connections(self) -> int:
        """The most connections to Service Bus; Event Hubs has the same port."""
        return self.peaks.connections - self.partitions


async def many_accounts(
    stack: LocalStack,
    resources: Resources,
    count: int,
    say: Callable[[str], None] = lambda _text: None,
) -> Result:
    """Run it on a stack with one ingest, named `ingest`, that nobody else uses meanwhile."""
    result = Result(count)
    pid, port = stack.processes["ingest"].pid, stack.settings.amqp_port
    positions = resources.azure.database.get_container_client(STREAM.name)
    async with open_stream(stack.endpoints.eventhub, positions) as stream:
        result.partitions = len(stream.partitions)
        async with watched(pid, port) as result.peaks, measured(pid) as spent:
            members = await _make_and_send(resources, stream, result, say)
            await stream.until_committed(await stream.ends(), 60 + count / 10)
    result.cpu_seconds, result.done_seconds = spent.cpu, spent.wall
    result.senders = await count_senders(stack)
    say(f"reading {count} queues ...")
    result.violations = await _violations(resources, members)
    return result


async def _make_and_send(
    resources: Resources, stream: Stream, result: Result, say: Callable[[str], None]
) -> list[Member]:
    """Each account's message is sent within 0.2 s of its making, while others are made."""
    members: list[Member] = []
    waiting: list[Sent] = []
    began = sent_at = time.monotonic()
    async for member in make_members(resources, result.accounts):
        members.append(member)
        waiting.append(Sent(member.device_ids[0], 1, body_for(member)))
        if time.monotonic() - sent_at > PUT_SECONDS:
            await stream.put(waiting)
            waiting.clear()
            sent_at = time.monotonic()
        if len(members) % 500 == 0:
            say(f"{len(members)} of {result.accounts} accounts after {sent_at - began:.0f} s")
    await stream.put(waiting)
    result.create_seconds = time.monotonic() - began
    return members


def body_for(member: Member) -> bytes:
    """A body of 200 bytes that names its account."""
    return f"for {member.user_id} ".encode().ljust(BODY_BYTES, b".")


async def _violations(resources: Resources, members: list[Member]) -> list[str]:
    """What is not as it must be; the queues are empty afterwards."""
    admin = resources.azure.service_bus_administration(NAMESPACE)
    before = await _counts(admin)
    client = resources.azure.service_bus(NAMESPACE)
    turn = asyncio.Semaphore(READERS)
    received = await asyncio.gather(*(_first(client, turn, member) for member in members))
    after = await _counts(admin)
    found = []
    for member, message in zip(members, received, strict=True):
        if before[member.queue] != 1:
            found.append(f"{member.queue} held {before[member.queue]} messages instead of 1")
        if message is None:
            found.append(f"{member.queue} gave nothing")
        elif (wrong := _wrong(member, message)) is not None:
            found.append(f"{member.queue}: {wrong}")
        if after[member.queue]:
            found.append(f"{member.queue} holds {after[member.queue]} more messages")
    return found[:SHOWN]


async def _first(
    client: ServiceBusClient, turn: asyncio.Semaphore, member: Member
) -> ServiceBusReceivedMessage | None:
    async with (
        turn,
        client.get_queue_receiver(
            member.queue, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE
        ) as receiver,
    ):
        messages = await receiver.receive_messages(1, max_wait_time=READ_SECONDS)
    return messages[0] if messages else None


def _wrong(member: Member, message: ServiceBusReceivedMessage) -> str | None:
    body = b"".join(message.body)
    if body != body_for(member):
        return f"a foreign body: {body[:40]!r}"
    properties = message.application_properties or {}
    device_id = properties.get(b"iothub-connection-device-id")
    if device_id != member.device_ids[0].encode():
        return f"a foreign device: {device_id!r}"
    return None


async def _counts(admin: ServiceBusAdministrationClient) -> dict[str, int]:
    """Messages of each queue, the dead-lettered and scheduled ones too."""
    return {
        each.name: int(each.total_message_count or 0)
        async for each in admin.list_queues_runtime_properties()
    }


async def count_senders(stack: LocalStack) -> int:
    """`mymote_ingest_senders`."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{stack.endpoints.ingest_url}/metrics") as response,
    ):
        text = await response.text()
    for line in text.splitlines():
        if line.startswith("mymote_ingest_senders "):
            return int(float(line.split()[1]))
    raise LookupError("ingest does not tell its senders")
