"""The edge: hands the event stream's batches to the pipeline, partition by partition."""

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from azure.eventhub import CloseReason, EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.eventhub.amqp import AmqpAnnotatedMessage, AmqpMessageBodyType

from services.ingest import metrics
from services.ingest.logic.events import RawEvent
from services.ingest.logic.garbage import TooMuchGarbage
from services.ingest.logic.partition import Partition
from services.ingest.logic.pipeline import Pipeline
from services.ingest.logic.tending import Tending
from services.ingest.settings import IngestSettings
from services.ingest.store.ledgers import PartitionLost
from services.ingest.store.retry import brief
from shared.health import NotReady

log = logging.getLogger(__name__)

CLOSE_SECONDS = 2.0


@dataclass
class _Claim:
    """A partition of the stream in this process: one batch at a time."""

    partition: Partition
    tending: asyncio.Task[None]
    in_hand: asyncio.Task[None] | None = None
    in_hand_since: float = 0.0  # loop time
    committed: EventData | None = None  # the last event behind a commit
    checkpointed_at: float = 0.0
    checkpoint: asyncio.Task[None] | None = None


class Consumer:
    """Reads the partitions that this process owns until it is stopped."""

    def __init__(
        self,
        client: EventHubConsumerClient,
        pipeline: Pipeline,
        tending: Tending,
        settings: IngestSettings,
    ) -> None:
        self._client = client
        self._pipeline = pipeline
        self._tending = tending
        self._settings = settings
        self._claims: dict[str, _Claim] = {}
        self._stopped: str | None = "it has not started yet"
        self._halted = asyncio.Event()
        self._failures: dict[str, tuple[float, str]] = {}  # the last of a partition, loop time

    async def run(self) -> None:
        """Take events until `drain`, or until there is too much garbage: then wait to be ended."""
        self._stopped = None
        receiving = asyncio.create_task(self._receive())
        halted = asyncio.create_task(self._halted.wait())
        try:
            await asyncio.wait({receiving, halted}, return_when=asyncio.FIRST_COMPLETED)
            if not self._halted.is_set():
                return await receiving
            # The partitions go: a process with other code may understand what is in them.
            receiving.cancel()
            await asyncio.wait({receiving})
            await asyncio.Event().wait()
        finally:
            receiving.cancel()
            halted.cancel()

    async def drain(self) -> None:
        """Finish and commit the batches in hand, then let the partitions go."""
        self._stopped = self._stopped or "it is stopping"
        claims = list(self._claims.values())
        await _end([each.tending for each in claims])
        tasks = [each.in_hand for each in claims if each.in_hand]
        if tasks:
            _, unfinished = await asyncio.wait(tasks, timeout=self._settings.drain_seconds)
            for task in unfinished:
                task.cancel()  # nothing of it is committed: it will be done again
            if unfinished:
                log.warning("stopped before all batches were done", extra={"left": len(unfinished)})
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._client.close()
        except TimeoutError:
            log.warning("the stream's links did not close in time")

    async def check(self) -> None:
        """Raises NotReady, saying why, where no events are taken."""
        if self._stopped is not None:
            raise NotReady(self._stopped)
        now = asyncio.get_running_loop().time()
        long_ago = now - self._settings.stalled_seconds
        for partition_id, (failed_at, error) in self._failures.items():
            if failed_at > long_ago:  # since then it failed no more, or another process has it
                raise NotReady(
                    f"partition {partition_id} fails ({error}) and is tried again: see the log"
                )
        for partition_id, claim in self._claims.items():
            if claim.in_hand and not claim.in_hand.done() and claim.in_hand_since < long_ago:
                raise NotReady(
                    f"partition {partition_id} stands still for {now - claim.in_hand_since:.0f} s: "
                    "the warnings in the log say what it waits for"
                )

    async def _receive(self) -> None:
        await self._client.receive_batch(
            on_event_batch=self._on_batch,
            on_partition_initialize=self._on_open,
            on_partition_close=self._on_close,
            on_error=self._on_error,
            starting_position="-1",
            prefetch=self._settings.prefetch,
            max_batch_size=self._settings.max_batch_size,
        )

    async def _on_open(self, context: PartitionContext) -> None:
        """A partition is this process's: it is tended whether events come or not."""
        left = self._claims.pop(context.partition_id, None)
        if self._stopped is None:
            partition = self._pipeline.partition(f"{context.eventhub_name}/{context.partition_id}")
            tending = asyncio.create_task(self._tending.run(partition))
            self._claims[context.partition_id] = _Claim(partition, tending)
        if left is not None:  # the SDK failed to close it
            await _end([left.tending])

    async def _on_batch(self, context: PartitionContext, events: list[EventData]) -> None:
        if self._stopped is not None:
            await asyncio.Event().wait()  # until the SDK cancels: no batch after the last one
        claim = self._claims[context.partition_id]
        task = asyncio.create_task(self._work(claim, context, events))
        task.add_done_callback(_hear)
        claim.in_hand = task
        claim.in_hand_since = asyncio.get_running_loop().time()
        # The SDK cancels this call when it stops or loses the partition; the batch goes on to
        # its commit, or to be cancelled in its turn.
        await asyncio.shield(task)

    async def _work(
        self, claim: _Claim, context: PartitionContext, events: Sequence[EventData]
    ) -> None:
        try:
            await self._pipeline.process(claim.partition, [_raw(each) for each in events])
        except PartitionLost:
            metrics.LOST.inc()
            raise
        except TooMuchGarbage as garbage:
            self._halt(garbage)
            return
        except Exception as error:
            failed_at = asyncio.get_running_loop().time()
            self._failures[context.partition_id] = (failed_at, type(error).__name__)
            log.exception(
                "cannot take a batch of events: it is given up and tried again",
                extra={"partition": context.partition_id},
            )
            raise
        self._failures.pop(context.partition_id, None)
        claim.committed = events[-1]
        self._checkpoint(claim, context)

    def _halt(self, garbage: TooMuchGarbage) -> None:
        if self._halted.is_set():
            return
        self._stopped = (
            f"stopped, for this is most likely our own fault: {garbage.reason}. "
            f"Nothing of it is lost: {garbage.remedy}."
        )
        log.error("ingest takes no more events: it is %s", self._stopped)
        self._halted.set()

    def _checkpoint(self, claim: _Claim, context: PartitionContext) -> None:
        """Tell now and then how far the partition is, for the autoscaler; Cosmos has the truth."""
        now = asyncio.get_running_loop().time()
        busy = claim.checkpoint is not None and not claim.checkpoint.done()
        if busy or now - claim.checkpointed_at < self._settings.checkpoint_seconds:
            return
        claim.checkpointed_at = now
        claim.checkpoint = asyncio.create_task(_write_checkpoint(claim, context))

    async def _on_close(self, context: PartitionContext, reason: CloseReason) -> None:
        """The SDK let a partition go; all work on it ends before its next owner begins."""
        claim = self._claims.pop(context.partition_id, None)
        if claim is None:
            return
        await _end([claim.tending])
        if claim.in_hand is not None and not claim.in_hand.done():
            await asyncio.wait([claim.in_hand], timeout=CLOSE_SECONDS)
            claim.in_hand.cancel()
        if claim.checkpoint is not None:
            await asyncio.wait([claim.checkpoint], timeout=CLOSE_SECONDS)
        await _write_checkpoint(claim, context)
        claim.partition.let_go()
        log.info(
            "partition closed", extra={"partition": context.partition_id, "reason": reason.name}
        )

    async def _on_error(self, context: PartitionContext | None, error: Exception) -> None:
        partition = context.partition_id if context else ""
        if isinstance(error, PartitionLost):
            log.info("another process has the partition", extra={"partition": partition})
            return
        log.warning(
            "the stream was interrupted; trying again",
            extra={"partition": partition, "error": brief(error)},
        )


async def _end(tasks: Collection[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks, timeout=CLOSE_SECONDS)


def _hear(task: asyncio.Task[None]) -> None:
    """Where the SDK has stopped listening, an error still counts as heard."""
    if not task.cancelled():
        task.exception()


async def _write_checkpoint(claim: _Claim, context: PartitionContext) -> None:
    committed, claim.committed = claim.committed, None
    if committed is None:
        return
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await context.update_checkpoint(committed)
    except Exception as error:
        log.warning(
            "cannot write a checkpoint; Cosmos DB has the position",
            extra={"partition": context.partition_id, "error": brief(error)},
        )


def _raw(event: EventData) -> RawEvent:
    message = event.raw_amqp_message
    properties = message.properties
    sequence_number, enqueued_at = event.sequence_number, event.enqueued_time
    if sequence_number is None or enqueued_at is None:
        raise ValueError("an event without sequence number or time is not from Event Hubs")
    return RawEvent(
        sequence_number=sequence_number,
        offset=event.offset or "",
        enqueued_at=enqueued_at,
        body=_body(message),
        annotations=message.annotations or {},
        properties=message.application_properties or {},
        message_id=properties.message_id if properties else None,
        content_type=properties.content_type if properties else None,
    )


def _body(message: AmqpAnnotatedMessage) -> bytes:
    """The bytes of the data sections; an empty message comes without any."""
    if message.body_type != AmqpMessageBodyType.DATA:
        return b""
    return b"".join(message.body)
