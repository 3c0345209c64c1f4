"""Event Hubs as azure-eventhub sees it: positions, groups, epochs, restarts, properties."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from amqp_client import RawClient, selector, sign
from amqp_namespace import GROUP, HUB, KEY, Namespace, close_namespace, open_namespace
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext
from azure.eventhub.exceptions import AuthenticationError, ConnectError, EventHubError

from emulator.amqp.frames import Performative
from emulator.amqp.message import split
from emulator.amqp.types import Symbol, UInt
from emulator.eventhubs.nodes import partition_of


def append(namespace: Namespace, body: str, key: str = "device") -> int:
    return namespace.hubs.append(
        HUB,
        partition_key=key,
        body=body.encode(),
        annotations={
            "iothub-connection-device-id": key,
            "iothub-enqueuedtime": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
        },
        application_properties={"level": "1"},
        message_id="17",
        content_type="application/json",
        content_encoding="utf-8",
    )


PARTITION = str(partition_of("device", 4))


@asynccontextmanager
async def consumer(
    namespace: Namespace, got: list[EventData], *, group: str = "$Default", **options: Any
) -> AsyncIterator[EventHubConsumerClient]:
    """Receives into `got` until the block ends."""
    client = EventHubConsumerClient.from_connection_string(
        namespace.connection_string(entity=HUB), consumer_group=group, retry_total=0
    )

    async def take(_context: PartitionContext, events: list[EventData]) -> None:
        got.extend(events)

    async with client:
        task = asyncio.create_task(client.receive_batch(take, **options))
        yield client
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def until(got: list[EventData], count: int) -> list[str]:
    await eventually(lambda: len(got) >= count)
    return [event.body_as_str() for event in got]


async def test_what_iot_hub_appends_arrives_with_all_its_properties(namespace: Namespace) -> None:
    append(namespace, "hello")
    got: list[EventData] = []
    async with consumer(namespace, got, starting_position="-1"):
        assert await until(got, 1) == ["hello"]
        append(namespace, "live")
        assert await until(got, 2) == ["hello", "live"]
    event = got[0]
    assert event.sequence_number == 0
    assert event.offset == "0"
    assert event.partition_key == b"device"
    assert event.properties == {b"level": b"1"}
    assert event.message_id == "17"
    assert event.content_type == "application/json"
    assert event.system_properties[b"iothub-connection-device-id"] == b"device"
    assert event.system_properties[b"iothub-enqueuedtime"] == 1767323045000
    assert event.enqueued_time is not None
    assert abs(datetime.now(UTC) - event.enqueued_time) < timedelta(seconds=30)


async def numbers_from(client: RawClient, handle: int, expression: str) -> list[int]:
    """The sequence numbers that a receiver gets for a selector, until there are no more."""
    filters = selector(f"amqp.annotation.x-opt-{expression}")
    assert await client.attach(handle, address(), receives=True, filters=filters) is None
    client.flow(handle, 100, drain=True, window=100_000)
    numbers = []
    while (received := await client.receive())[1] == Performative.TRANSFER:
        annotations = split(received[3]).read_message_annotations()
        numbers.append(annotations["x-opt-sequence-number"])
    assert received[1] == Performative.FLOW
    client.send(1, Performative.DETACH, [UInt(handle), True, None])
    return numbers


async def test_every_kind_of_position(namespace: Namespace) -> None:
    for number in range(4):
        append(namespace, str(number))
        await asyncio.sleep(0.005)
    got: list[EventData] = []
    async with consumer(namespace, got, partition_id=PARTITION, starting_position="-1"):
        await until(got, 4)
    offset, enqueued = got[1].offset, got[1].enqueued_time
    assert enqueued is not None
    client = await root_client(namespace)
    positions = {
        "offset": offset,
        "sequence-number": 1,
        "enqueued-time": round(enqueued.timestamp() * 1000),
    }
    for field, value in positions.items():
        assert await numbers_from(client, 1, f"{field} > '{value}'") == [2, 3]
        assert await numbers_from(client, 2, f"{field} >= '{value}'") == [1, 2, 3]
        assert await numbers_from(client, 3, f"{field} > '-1'") == [0, 1, 2, 3]
        assert await numbers_from(client, 4, f"{field} > '@latest'") == []
        assert await numbers_from(client, 5, f"{field} > '{10**17}'") == []
    await client.close()


async def test_the_sdk_resumes_behind_an_offset(namespace: Namespace) -> None:
    for body in "abc":
        append(namespace, body)
    got: list[EventData] = []
    async with consumer(namespace, got, partition_id=PARTITION, starting_position="0"):
        assert await until(got, 2) == ["b", "c"]


async def test_latest_gets_only_what_comes(namespace: Namespace) -> None:
    append(namespace, "old")
    got: list[EventData] = []
    async with consumer(namespace, got, partition_id=PARTITION, starting_position="@latest"):
        await asyncio.sleep(1)
        append(namespace, "new")
        assert await until(got, 1) == ["new"]


async def test_the_log_survives_a_restart(tmp_path: Path) -> None:
    first = await open_namespace(tmp_path / "store.db")
    append(first, "before")
    await close_namespace(first)
    second = await open_namespace(tmp_path / "store.db")
    assert append(second, "after") == 1
    got: list[EventData] = []
    async with consumer(second, got, partition_id=PARTITION, starting_position="-1"):
        assert await until(got, 2) == ["before", "after"]
    assert [event.sequence_number for event in got] == [0, 1]
    offsets = [int(event.offset or "") for event in got]
    assert offsets[0] < offsets[1]
    await close_namespace(second)


async def test_producers_reach_the_partition_they_mean(namespace: Namespace) -> None:
    producer = EventHubProducerClient.from_connection_string(
        namespace.connection_string(entity=HUB)
    )
    async with producer:
        assert await producer.get_partition_ids() == ["0", "1", "2", "3"]
        keyed = await producer.create_batch(partition_key="device")
        assert keyed.max_size_in_bytes == 1 << 20
        keyed.add(EventData("keyed"))
        keyed.add(EventData("keyed too"))
        await producer.send_batch(keyed)
        direct = await producer.create_batch(partition_id="3")
        direct.add(EventData("direct"))
        await producer.send_batch(direct)
        for _ in range(4):
            await producer.send_batch([EventData("any")])
        properties = [await producer.get_partition_properties(str(n)) for n in range(4)]
    counts = [p["last_enqueued_sequence_number"] + 1 for p in properties]
    expected = [1, 1, 1, 1]
    expected[3] += 1
    expected[int(PARTITION)] += 2
    assert counts == expected
    assert all(p["last_enqueued_time_utc"].year > 2020 for p in properties)


async def test_last_enqueued_properties_come_with_events_when_asked(namespace: Namespace) -> None:
    append(namespace, "a")
    append(namespace, "b")
    seen: list[dict[str, Any]] = []
    client = EventHubConsumerClient.from_connection_string(
        namespace.connection_string(entity=HUB), consumer_group="$Default"
    )

    async def take(context: PartitionContext, _event: Any) -> None:
        seen.append(context.last_enqueued_event_properties or {})

    async with client:
        task = asyncio.create_task(
            client.receive(
                take,
                partition_id=PARTITION,
                starting_position="-1",
                track_last_enqueued_event_properties=True,
            )
        )
        await eventually(lambda: bool(seen))
        task.cancel()
    assert seen[0]["sequence_number"] == 1


async def test_groups_read_apart_and_an_unknown_one_is_refused(namespace: Namespace) -> None:
    append(namespace, "x")
    for group in ("$Default", GROUP):
        got: list[EventData] = []
        async with consumer(
            namespace, got, group=group, partition_id=PARTITION, starting_position="-1"
        ):
            assert await until(got, 1) == ["x"]
    client = await root_client(namespace)
    address = f"{HUB}/ConsumerGroups/nobody/Partitions/0"
    assert await client.attach(1, address, receives=True) == "amqp:not-found"
    address = f"{HUB}/ConsumerGroups/$Default/Partitions/4"
    assert await client.attach(1, address, receives=True) == "amqp:not-found"
    await client.close()


async def root_client(namespace: Namespace) -> RawClient:
    client = await RawClient.open(namespace.port)
    await client.authorized("sb://localhost", sign("sb://localhost", KEY))
    return client


def address(group: str = "$Default") -> str:
    return f"{HUB}/ConsumerGroups/{group}/Partitions/{PARTITION}"


def epoch(level: int) -> dict[Any, Any]:
    return {Symbol("com.microsoft:epoch"): level}


async def test_a_higher_epoch_takes_the_partition_over(namespace: Namespace) -> None:
    client = await root_client(namespace)
    assert await client.attach(1, address(), receives=True, properties=epoch(0)) is None
    assert await client.attach(2, address(GROUP), receives=True) is None  # another group
    assert await client.attach(3, address(), receives=True) == "amqp:link:stolen"
    client.send_attach(4, address(), properties=epoch(1))
    stolen = (await client.expect(Performative.DETACH))[2]
    assert stolen[0] == 1
    assert stolen[2].value[0] == "amqp:link:stolen"
    await client.expect(Performative.ATTACH)
    refused = await client.attach(5, address(), receives=True, properties=epoch(0))
    assert refused == "amqp:link:stolen"
    await client.close()


async def test_at_most_five_receivers_share_a_partition(namespace: Namespace) -> None:
    client = await root_client(namespace)
    for handle in range(5):
        assert await client.attach(handle, address(), receives=True) is None
    refused = await client.attach(5, address(), receives=True)
    assert refused == "amqp:resource-limit-exceeded"
    await client.close()


@pytest.mark.parametrize(
    "expression",
    [
        "amqp.annotation.x-opt-offset > 'soon'",
        "amqp.annotation.x-opt-offset < '5'",
        "1 = 1",
        "",
        "'" * 9000,
    ],
)
async def test_a_selector_that_says_nothing_is_refused(
    namespace: Namespace, expression: str
) -> None:
    client = await root_client(namespace)
    refused = await client.attach(1, address(), receives=True, filters=selector(expression))
    assert refused == "amqp:invalid-field"
    await client.close()


async def test_a_wrong_key_and_an_unknown_hub_are_told_apart(namespace: Namespace) -> None:
    wrong = EventHubProducerClient.from_connection_string(
        namespace.connection_string(entity=HUB, key="wrong"), retry_total=0
    )
    async with wrong:
        with pytest.raises((AuthenticationError, ConnectError)):
            await wrong.get_eventhub_properties()
    unknown = EventHubProducerClient.from_connection_string(
        namespace.connection_string(entity="nosuch"), retry_total=0
    )
    async with unknown:
        with pytest.raises(EventHubError):
            await unknown.get_eventhub_properties()


async def test_old_events_are_purged_and_numbers_go_on(tmp_path: Path) -> None:
    namespace = await open_namespace(tmp_path / "store.db")
    partition = namespace.hubs._hubs[HUB].partition(PARTITION)
    for number in range(1200):
        append(namespace, str(number))
    await namespace.store.durable()
    middle = partition.last.enqueued + 1
    steps = 0
    while partition.purge(middle):
        steps += 1
    assert steps == 3  # no more than 500 at a time
    assert partition.empty
    await close_namespace(namespace)

    namespace = await open_namespace(tmp_path / "store.db")
    assert append(namespace, "after") == 1200
    got: list[EventData] = []
    async with consumer(namespace, got, partition_id=PARTITION, starting_position="-1"):
        assert await until(got, 1) == ["after"]
    await close_namespace(namespace)
