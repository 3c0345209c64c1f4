"""The event stream, read whole with the Event Hubs SDK."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, PartitionContext
from azure.eventhub.amqp import AmqpMessageBodyType

from tests.ledger.records import StreamEvent

GROUP = "ledger"  # ingest's own group takes readers with an epoch only
READ_SECONDS = 60.0
PARTITIONS = ("0", "1", "2", "3")  # as the local Azure makes them


async def ends(connection_string: str) -> dict[str, int]:
    """The last sequence number of each partition by its number; -1 where it is empty."""
    async with _client(connection_string) as client:
        # Each question is a connection of its own to the SDK, half a second.
        asked = await asyncio.gather(*map(client.get_partition_properties, PARTITIONS))
        return {
            each["id"]: -1 if each["is_empty"] else each["last_enqueued_sequence_number"]
            for each in asked
        }


async def read(connection_string: str) -> list[StreamEvent]:
    """Every event, each partition's in order. Raises TimeoutError."""
    last = await ends(connection_string)
    events: dict[str, list[StreamEvent]] = {partition: [] for partition in last}
    async with _client(connection_string) as client, asyncio.timeout(READ_SECONDS):
        async with asyncio.TaskGroup() as tasks:
            for partition, end in last.items():
                if end >= 0:
                    tasks.create_task(_read_partition(client, partition, end, events[partition]))
    return [event for partition in sorted(events) for event in events[partition]]


async def _read_partition(
    client: EventHubConsumerClient, partition: str, end: int, into: list[StreamEvent]
) -> None:
    complete = asyncio.Event()

    async def take(context: PartitionContext, events: list[EventData]) -> None:
        into.extend(_event(context.partition_id, each) for each in events)
        if into and into[-1].sequence_number >= end:
            complete.set()

    reading = asyncio.create_task(
        client.receive_batch(
            take,
            partition_id=partition,
            starting_position="-1",
            prefetch=3000,
            max_batch_size=3000,
        )
    )
    waiting = asyncio.create_task(complete.wait())
    await asyncio.wait({reading, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


def _client(connection_string: str) -> EventHubConsumerClient:
    return EventHubConsumerClient.from_connection_string(connection_string, GROUP)


def _event(partition: str, event: EventData) -> StreamEvent:
    message = event.raw_amqp_message
    annotations = _texts(message.annotations)
    taken = (message.annotations or {}).get(b"iothub-enqueuedtime")
    claimed = annotations.get("iothub-creation-time-utc")
    assert isinstance(taken, int)  # AMQP's milliseconds
    assert event.sequence_number is not None
    properties = message.properties
    return StreamEvent(
        partition=partition,
        sequence_number=event.sequence_number,
        device_id=annotations["iothub-connection-device-id"],
        source=annotations["iothub-message-source"],
        enqueued_at=datetime.fromtimestamp(taken / 1000, UTC),
        claimed_at=datetime.fromisoformat(claimed) if claimed else None,
        mid=_text(properties.message_id or "") if properties else "",
        properties=_texts(message.application_properties),
        content_type=_optional(properties.content_type) if properties else None,
        body=b"".join(message.body) if message.body_type == AmqpMessageBodyType.DATA else b"",
    )


def _texts(named: Mapping[Any, Any] | None) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in (named or {}).items()}


def _optional(value: Any) -> str | None:
    return None if value is None else _text(value)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
