"""Readers of the accounts' queues, which record everything that they receive."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC
from typing import Any

from azure.core.exceptions import AzureError
from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver

from tests.ingest.local_platform import Owner, body_of, properties_of
from tests.ledger.records import Received

AT_ONCE = 100
AGAIN_SECONDS = 0.3


class Readers:
    """One reader for each account; a queue that is away is opened again and again.

    A message is completed once it is recorded. One that comes again because a kill lost its
    completion has the number that the queue gave it; a second copy on the queue has another.
    """

    def __init__(self) -> None:
        self.received: dict[tuple[str, int], Received] = {}  # by account and number
        self._tasks: list[asyncio.Task[None]] = []
        self._arrived = asyncio.Event()

    def start(self, owners: Sequence[Owner]) -> None:
        self._tasks += [asyncio.create_task(self._read(each)) for each in owners]

    async def arrival(self) -> None:
        """Wait until the next message is received."""
        self._arrived.clear()
        await self._arrived.wait()

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for outcome in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                raise outcome

    async def _read(self, owner: Owner) -> None:
        queue = owner.queue_connection_string.rpartition("EntityPath=")[2]
        while True:
            with suppress(AzureError, OSError, TimeoutError):
                client = ServiceBusClient.from_connection_string(
                    owner.queue_connection_string, retry_total=0
                )
                async with client, client.get_queue_receiver(queue) as receiver:
                    while True:
                        some = await receiver.receive_messages(AT_ONCE, max_wait_time=5)
                        await self._take(owner, receiver, some)
            await asyncio.sleep(AGAIN_SECONDS)

    async def _take(
        self, owner: Owner, receiver: ServiceBusReceiver, some: list[ServiceBusReceivedMessage]
    ) -> None:
        for message in some:
            received = _received(owner, message)
            self.received.setdefault((owner.user_id, received.queue_number), received)
        self._arrived.set()
        await asyncio.gather(*(receiver.complete_message(each) for each in some))


def _received(owner: Owner, message: ServiceBusReceivedMessage) -> Received:
    number, queued_at = message.sequence_number, message.enqueued_time_utc
    assert number is not None
    assert queued_at is not None
    return Received(
        user_id=owner.user_id,
        queue_number=number,
        queued_at=queued_at.astimezone(UTC),
        received_at=time.time(),
        message_id=_text(message.message_id),
        properties=properties_of(message),
        content_type=message.content_type,
        body=body_of(message),
    )


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
