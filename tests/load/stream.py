"""Messages in the event stream, exactly as IoT Hub puts them there, and how far ingest is."""

import asyncio
import time
import zlib
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubProducerClient

# What IoT Hub says of a device that signed in with a key of its own, word for word.
AUTH_METHOD = '{"scope":"device","type":"sas","issuer":"iothub","acceptingIpFilterRule":null}'
POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Sent:
    """A data message of a gateway. `partition`: of the stream; None for the device's own."""

    device_id: str
    mid: int
    body: bytes
    partition: int | None = None


@dataclass(frozen=True)
class Stream:
    """The event hub that IoT Hub routes to, and the container that holds ingest's positions."""

    name: str
    partitions: tuple[str, ...]
    _producer: EventHubProducerClient
    _positions: ContainerProxy

    async def put(self, messages: Iterable[Sent]) -> None:
        """Append messages; those of one partition keep their order."""
        lanes: defaultdict[str, list[Sent]] = defaultdict(list)
        for message in messages:
            lanes[self._partition_of(message)].append(message)
        await asyncio.gather(*(self._fill(lane, some) for lane, some in lanes.items()))

    async def ends(self) -> dict[str, int]:
        """The last sequence number of each partition; -1 where it is empty."""
        ends = {}
        for partition in self.partitions:
            properties = await self._producer.get_partition_properties(partition)
            ends[partition] = int(properties["last_enqueued_sequence_number"])
        return ends

    async def until_committed(self, ends: dict[str, int], seconds: float) -> None:
        """Wait until ingest has committed these sequence numbers. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        for partition, end in ends.items():
            while (position := await self._position(partition)) < end:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"partition {partition} is at {position} of {end}")
                await asyncio.sleep(POLL_SECONDS)

    def _partition_of(self, message: Sent) -> str:
        """Any rule does that gives a device one partition for ever."""
        number = message.partition
        if number is None:
            number = zlib.crc32(message.device_id.encode())
        return self.partitions[number % len(self.partitions)]

    async def _fill(self, partition: str, messages: list[Sent]) -> None:
        batch = await self._producer.create_batch(partition_id=partition)
        for message in messages:
            event = _event(message)
            try:
                batch.add(event)
            except ValueError:  # it is full
                await self._producer.send_batch(batch)
                batch = await self._producer.create_batch(partition_id=partition)
                batch.add(event)
        await self._producer.send_batch(batch)

    async def _position(self, partition: str) -> int:
        try:
            item = await self._positions.read_item("position", f"{self.name}/{partition}")
        except CosmosResourceNotFoundError:
            return -1
        return int(item["sequence_number"])


@asynccontextmanager
async def open_stream(connection_string: str, positions: ContainerProxy) -> AsyncIterator[Stream]:
    """`connection_string` names the event hub; `positions` is container `stream`."""
    producer = EventHubProducerClient.from_connection_string(connection_string)
    async with producer:
        partitions = await producer.get_partition_ids()
        yield Stream(producer.eventhub_name, tuple(partitions), producer, positions)


def _event(message: Sent) -> EventData:
    event = EventData(message.body)
    event.message_id = str(message.mid)
    event.raw_amqp_message.annotations = {
        "iothub-connection-device-id": message.device_id,
        "iothub-connection-auth-method": AUTH_METHOD,
        "iothub-connection-auth-generation-id": "638000000000000000",
        "iothub-enqueuedtime": datetime.now(UTC),
        "iothub-message-source": "Telemetry",
        "iothub-creation-time-utc": datetime.now(UTC).isoformat(),
    }
    return event
