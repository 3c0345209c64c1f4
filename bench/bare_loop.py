"""The floor: the same SDKs receive the same events and send them on, without any logic.

A process of its own, `python -m bench.bare_loop`: reads a `Task` as JSON from its input and
prints an `Answer` as JSON.
"""

import asyncio
import json
import resource
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from itertools import cycle, islice
from typing import Any, cast

import uvloop
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender

from bench.cases import Sending
from services.ingest.settings import IngestSettings

CONSUMER_GROUP = "bench"  # ingest has the default one to itself
BATCH = 100
SECONDS = 120.0


@dataclass(frozen=True)
class Task:
    """Which events to receive: `count` of them behind these sequence numbers; and where to."""

    eventhub: str
    servicebus: str
    queues: list[str]
    after: dict[str, int]  # by partition
    count: int
    sending: Sending


@dataclass(frozen=True)
class Answer:
    """CPU seconds of the process, from just before it receives to the last send."""

    cpu_seconds: float


@dataclass
class Sender:
    """Sends what was received in one of the three ways."""

    client: ServiceBusClient
    settings: IngestSettings
    senders: list[ServiceBusSender] = field(default_factory=list)
    waiting: list[ServiceBusMessage] = field(default_factory=list)
    queues: Iterator[str] = field(default_factory=lambda: iter(()))
    turn: Iterator[ServiceBusSender] = field(default_factory=lambda: iter(()))

    async def close(self) -> None:
        await asyncio.gather(*(each.close() for each in self.senders))

    async def batches(self, messages: list[ServiceBusMessage]) -> None:
        """What does not fill a batch waits for the next read, or for `finish`."""
        self.waiting += messages
        while len(self.waiting) >= BATCH:
            await self.finish()

    async def finish(self) -> None:
        some, self.waiting = self.waiting[:BATCH], self.waiting[BATCH:]
        if not some:
            return
        sender = next(self.turn)
        batch = await sender.create_message_batch()
        for message in some:
            batch.add_message(message)
        await sender.send_messages(batch)

    async def single(self, messages: list[ServiceBusMessage]) -> None:
        rest = iter(messages)
        while some := list(islice(rest, len(self.senders))):
            pairs = zip(self.senders, some, strict=False)
            await asyncio.gather(*(sender.send_messages(message) for sender, message in pairs))

    async def opening(self, messages: list[ServiceBusMessage]) -> None:
        slots = asyncio.Semaphore(self.settings.concurrent_sends)

        async def one(message: ServiceBusMessage) -> None:
            async with slots, self.client.get_queue_sender(next(self.queues)) as sender:
                await sender.send_messages(message)

        await asyncio.gather(*(one(message) for message in messages))


async def run(task: Task) -> Answer:
    """Receive and send everything. Raises TimeoutError after two minutes."""
    settings = IngestSettings()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            # One SSL context for all senders, as ingest has: it is built even where none is used.
            ServiceBusClient.from_connection_string(
                task.servicebus, ssl_context=ssl.create_default_context()
            )
        )
        sender = Sender(client, settings, queues=cycle(task.queues))
        if task.sending is not Sending.OPENING:
            sender.senders = [client.get_queue_sender(queue) for queue in task.queues]
            sender.turn = cycle(sender.senders)
            # All at once: each takes half a second to open and up to a second to close, of waiting.
            await asyncio.gather(*(each.__aenter__() for each in sender.senders))
            stack.push_async_callback(sender.close)
        send = {
            Sending.BATCHES: sender.batches,
            Sending.SINGLE: sender.single,
            Sending.OPENING: sender.opening,
        }[task.sending]
        began = _cpu_seconds()
        async with asyncio.timeout(SECONDS):
            await _receive(task, settings, send)
            await sender.finish()
        return Answer(_cpu_seconds() - began)


async def _receive(
    task: Task,
    settings: IngestSettings,
    send: Callable[[list[ServiceBusMessage]], Awaitable[None]],
) -> None:
    left = task.count
    done = asyncio.Event()
    one_partition = asyncio.Lock()  # a sender is for one user at a time

    async def on_batch(_context: PartitionContext, events: list[EventData]) -> None:
        nonlocal left
        async with one_partition:
            await send([_message(each) for each in events])
        left -= len(events)
        if left <= 0:
            done.set()

    consumer = EventHubConsumerClient.from_connection_string(task.eventhub, CONSUMER_GROUP)
    async with consumer:
        receiving = asyncio.create_task(
            consumer.receive_batch(
                on_event_batch=on_batch,
                starting_position=dict(task.after),
                prefetch=settings.prefetch,
                max_batch_size=settings.max_batch_size,
            )
        )
        await done.wait()
    receiving.cancel()


def _message(event: EventData) -> ServiceBusMessage:
    """As many bytes as ingest sends."""
    annotations: dict[Any, Any] = event.raw_amqp_message.annotations or {}
    device_id = annotations[b"iothub-connection-device-id"].decode()
    mid = event.message_id or ""
    return ServiceBusMessage(
        b"".join(cast(Iterable[bytes], event.body)),
        message_id=f"bare {device_id} {mid}",
        application_properties={
            "iothub-connection-device-id": device_id,
            "device_name": "Load",
            "iothub-creation-time-utc": "2026-01-01T00:00:00.000Z",
            "mid": mid,
        },
    )


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Do the task that stands on the input."""
    values = json.load(sys.stdin)
    task = Task(**{**values, "sending": Sending(values["sending"])})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(run(task)))))


if __name__ == "__main__":
    main()
