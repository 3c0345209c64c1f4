"""The accounts' queues: a bounded pool of senders, batches for each queue, nothing lost."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from azure.servicebus import ServiceBusMessageBatch
from azure.servicebus.aio import ServiceBusClient, ServiceBusSender
from azure.servicebus.amqp import AmqpAnnotatedMessage
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusQuotaExceededError,
)

from services.ingest import metrics
from services.ingest.logic.plan import Outgoing, QueueAddress
from services.ingest.store.retry import TRANSIENT, brief, delays

log = logging.getLogger(__name__)

SEND_SECONDS = 20.0  # the SDK's own attempts included
CLOSE_SECONDS = 1.0

# It, and no other queue, has to change before it takes again.
REFUSALS: dict[type[Exception], str] = {
    MessagingEntityNotFoundError: "the account's queue is missing",
    MessagingEntityDisabledError: "the account's queue is disabled",
    ServiceBusQuotaExceededError: "the account's queue is full",
    MessageSizeExceededError: "a message is larger than the account's queue takes",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a queue did not accept, in order, and why, in a sentence."""

    messages: Sequence[Outgoing]
    reason: str


@dataclass
class _Pooled:
    sender: ServiceBusSender
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0


class AccountQueues:
    """Sends to any number of queues over at most `max_senders` connections."""

    def __init__(
        self,
        client_of: Callable[[str], ServiceBusClient],
        *,
        max_senders: int,
        concurrent_sends: int,
    ) -> None:
        self._client_of = client_of
        self._max_senders = max_senders
        self._slots = asyncio.Semaphore(min(concurrent_sends, max_senders))
        self._pool: OrderedDict[QueueAddress, _Pooled] = OrderedDict()
        self._closing: set[asyncio.Task[None]] = set()

    async def send(
        self, sends: Mapping[QueueAddress, Sequence[Outgoing]]
    ) -> dict[QueueAddress, Refusal]:
        """Send messages, each queue's in order, the queues side by side.

        Returns what queues refused: from the first message that was not accepted on. Waits for
        as long as Service Bus does not answer, or asks to come back later.
        """
        async with asyncio.TaskGroup() as group:
            tasks = {
                address: group.create_task(self._deliver(address, messages))
                for address, messages in sends.items()
            }
        return {
            address: refusal
            for address, task in tasks.items()
            if (refusal := task.result()) is not None
        }

    async def _deliver(self, address: QueueAddress, messages: Sequence[Outgoing]) -> Refusal | None:
        try:
            self._client_of(address.namespace)
        except KeyError:
            reason = f"the settings do not name the account's namespace {address.namespace!r}"
            return Refusal(messages, reason)
        waits = delays()
        sent = 0
        while sent < len(messages):
            try:
                sent += await self._send_some(address, messages[sent:])
                waits = delays()
            except tuple(REFUSALS) as error:
                metrics.REFUSED.labels(type(error).__name__).inc()
                return Refusal(messages[sent:], REFUSALS[type(error)])
            except TRANSIENT as error:
                await self._wait(address, error, next(waits))
        return None

    async def _send_some(self, address: QueueAddress, messages: Sequence[Outgoing]) -> int:
        """Send one batch: as many messages from the first one on as fit. Returns how many."""
        async with self._sender(address) as sender:
            if len(messages) == 1:
                # Without a batch around it a message costs the SDK a third less.
                await sender.send_messages(_encode(messages[0]), timeout=SEND_SECONDS)
                count = 1
            else:
                batch = await sender.create_message_batch()
                count = _fill(batch, messages)
                await sender.send_messages(batch, timeout=SEND_SECONDS)
        metrics.SENT.inc(count)
        return count

    async def _wait(self, address: QueueAddress, error: Exception, seconds: float) -> None:
        metrics.REFUSED.labels(type(error).__name__).inc()
        log.warning(
            "cannot send to a queue; trying again",
            extra={"queue": address.queue, "error": brief(error), "seconds": seconds},
        )
        await asyncio.sleep(seconds)

    @asynccontextmanager
    async def _sender(self, address: QueueAddress) -> AsyncIterator[ServiceBusSender]:
        """The queue's sender, for one user at a time."""
        async with self._slots:
            pooled = await self._take(address)
            try:
                yield pooled.sender
            except BaseException:
                # Also where the send was cancelled: the link may still have it half done.
                if self._pool.get(address) is pooled:
                    self._drop(address)
                raise
            finally:
                pooled.users -= 1
                pooled.lock.release()

    async def _take(self, address: QueueAddress) -> _Pooled:
        """The queue's sender, locked. One that its last user gave up is closing: not that one."""
        while True:
            pooled = self._pool.get(address)
            if pooled is None:
                client = self._client_of(address.namespace)
                pooled = _Pooled(client.get_queue_sender(address.queue))
                self._pool[address] = pooled
            pooled.users += 1
            self._pool.move_to_end(address)
            try:
                await self._shrink()
                await pooled.lock.acquire()
            except BaseException:
                pooled.users -= 1
                raise
            if self._pool.get(address) is pooled:
                return pooled
            pooled.users -= 1
            pooled.lock.release()

    async def _shrink(self) -> None:
        """Close the senders that were not used for longest, until all fit, the closing ones too."""
        while len(self._pool) + len(self._closing) > self._max_senders:
            if len(self._pool) > self._max_senders:
                # Fewer are in use at once than fit, so one is idle.
                self._drop(next(each for each, pooled in self._pool.items() if not pooled.users))
            await asyncio.wait(self._closing, return_when=asyncio.FIRST_COMPLETED)
        metrics.SENDERS.set(len(self._pool))

    def _drop(self, address: QueueAddress) -> None:
        closing = asyncio.create_task(_close(self._pool.pop(address).sender))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all senders."""
        for address in list(self._pool):
            self._drop(address)
        await asyncio.gather(*self._closing)


async def _close(sender: ServiceBusSender) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await sender.close()
    except TRANSIENT as error:
        log.debug("a sender did not close", extra={"error": brief(error)})


def _fill(batch: ServiceBusMessageBatch, messages: Sequence[Outgoing]) -> int:
    for count, message in enumerate(messages):
        try:
            batch.add_message(_encode(message))
        except MessageSizeExceededError:
            if count == 0:
                raise
            return count
    return len(messages)


def _encode(message: Outgoing) -> AmqpAnnotatedMessage:
    """The same bytes as those of a ServiceBusMessage, which costs the SDK a quarter more."""
    return AmqpAnnotatedMessage(
        data_body=message.body,
        properties={"message_id": message.message_id, "content_type": message.content_type},
        application_properties=dict(message.properties),
    )
