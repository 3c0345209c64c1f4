"""The edge to the event stream: hands what concerns jobs to the logic, partition by partition.

It reads in a consumer group of its own; several processes share the partitions. An event is dealt
with at least once: its partition's checkpoint follows. Most events concern no job and are passed
over unread.
"""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import ResourceNotFoundError
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.eventhub.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType

from services.ota import metrics
from services.ota.logic.following import follow
from services.ota.logic.reports import News, read_news
from services.ota.logic.worker import Worker
from shared.clients import AzureClients
from shared.errors import Unavailable
from shared.health import NotReady

log = logging.getLogger(__name__)

BATCH = 300
CHECKPOINT_SECONDS = 5.0
AT_ONCE = 8  # devices
# While the database or the hub does not answer, for more than a minute; then the job's own time
# brings somebody.
TRIES = 16
FAILED_FIRST = 0.5  # seconds
FAILED_LONGEST = 8.0
AGAIN_SECONDS = 5.0
CLOSE_SECONDS = 3.0
# Where a partition has no checkpoint: jobs are as old as this service, and events that came while
# it was away are made up for by looking at the jobs that are due.
BACK = timedelta(minutes=10)


class Consumer:
    """Reads the partitions that this process owns until it is cancelled."""

    def __init__(self, azure: AzureClients, group: str, worker: Worker) -> None:
        self._azure = azure
        self._group = group
        self._worker = worker
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._checkpointed: dict[str, float] = {}  # loop time, by partition
        self._failing = "it has not started yet"

    async def run(self) -> None:
        """Never returns; what fails is tried again."""
        while True:
            try:
                await self._receive()
            except Exception as error:
                self._failing = f"the event stream cannot be read ({type(error).__name__})"
                log.exception("the event stream cannot be read; it is tried again")
            await asyncio.sleep(AGAIN_SECONDS * random.uniform(0.5, 1))  # noqa: S311

    async def check(self) -> None:
        """Raises NotReady where no events are taken."""
        if self._failing:
            raise NotReady(self._failing)

    async def _receive(self) -> None:
        await self._azure.make_checkpoints()
        checkpoints = self._azure.checkpoint_store()
        client: EventHubConsumerClient = self._azure.event_consumer(checkpoints, self._group)
        self._failing = ""
        async with client:
            await client.receive_batch(
                on_event_batch=self._on_batch,
                on_error=self._on_error,
                on_partition_close=self._on_close,
                starting_position=datetime.now(UTC) - BACK,
                max_batch_size=BATCH,
                prefetch=BATCH,
            )

    async def _on_batch(self, context: PartitionContext, events: list[EventData]) -> None:
        await asyncio.gather(*(self._device(*each) for each in _by_device(events).items()))
        last = events[-1]
        if last.enqueued_time is not None:
            age = (datetime.now(UTC) - last.enqueued_time).total_seconds()
            metrics.LAG.labels(context.partition_id).set(max(age, 0))
        now = asyncio.get_running_loop().time()
        if now - self._checkpointed.get(context.partition_id, 0) >= CHECKPOINT_SECONDS:
            self._checkpointed[context.partition_id] = now
            await context.update_checkpoint(last)

    async def _device(self, device_id: str, news: Sequence[News]) -> None:
        async with self._slots:
            outcome = await self._follow(device_id, news)
        metrics.EVENTS.labels(outcome).inc(len(news))

    async def _follow(self, device_id: str, news: Sequence[News]) -> str:
        for attempt in range(TRIES):
            try:
                await follow(self._worker, device_id, news)
            except Unavailable as error:
                log.warning("events wait", extra={"device_id": device_id, "reason": str(error)})
            except Exception:
                log.exception("events are given up", extra={"device_id": device_id})
                return "failed"
            else:
                return "followed"
            pause = min(FAILED_FIRST * 2**attempt, FAILED_LONGEST)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311
        return "given up"

    async def _on_close(self, context: PartitionContext, _reason: object) -> None:
        self._checkpointed.pop(context.partition_id, None)

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        if context is None and isinstance(error, ResourceNotFoundError):
            await self._azure.make_checkpoints()
        log.warning(
            "the stream was interrupted; trying again",
            extra={
                "partition": context.partition_id if context else "",
                "error": type(error).__name__,
            },
        )


@asynccontextmanager
async def consuming(azure: AzureClients, group: str, worker: Worker) -> AsyncIterator[Consumer]:
    """Follow the event stream until the block ends."""
    consumer = Consumer(azure, group, worker)
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=CLOSE_SECONDS)


def _by_device(events: Sequence[EventData]) -> dict[str, list[News]]:
    """What concerns jobs, in each device's order."""
    found: dict[str, list[News]] = {}
    for event in events:
        message = event.raw_amqp_message
        # Device and source are taken from what IoT Hub alone writes (design.md, "Messages").
        annotations: Mapping[str | bytes, object] = message.annotations or {}
        source = _text(annotations.get(b"iothub-message-source"))
        if source == "Telemetry":
            continue
        device_id = _text(annotations.get(b"iothub-connection-device-id"))
        properties: Mapping[str | bytes, object] = message.application_properties or {}
        news = read_news(source, _text(properties.get(b"opType")), _body(message))
        if news is not None and device_id:
            found.setdefault(device_id, []).append(news)
    passed = len(events) - sum(len(each) for each in found.values())
    metrics.EVENTS.labels("passed over").inc(passed)
    return found


def _body(message: AmqpAnnotatedMessage) -> bytes:
    """The bytes of the data sections; an empty message comes without any."""
    if message.body_type != AmqpMessageBodyType.DATA:
        return b""
    return b"".join(message.body)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value or "")
