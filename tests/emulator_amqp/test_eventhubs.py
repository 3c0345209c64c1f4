"""Event Hubs as azure-eventhub sees it: positions, groups, epochs, restarts, properties."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient, PartitionContext
from azure.eventhub.exceptions import AuthenticationError

from emulator.amqp.codec import DecodeError, decode
from emulator.amqp.frames import Performative
from emulator.amqp.message import BATCHED, MESSAGE_ANNOTATIONS, data_section, section, split
from emulator.amqp.node import AmqpError, Attach
from emulator.amqp.types import Symbol, UInt
from emulator.eventhubs.nodes import ReceiverGroup, SenderNode, partition_of
from tests.emulator_amqp.amqp_client import RawClient, selector, sign
from tests.emulator_amqp.amqp_namespace import (
    GROUP,
    HUB,
    KEY,
    Namespace,
    close_namespace,
    open_namespace,
)


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
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def until(got: list[EventData], count: int) -> list[str]:
    await eventually(lambda: len(got) >= count)
    return [event.body_as_str() for event in got]


async def test_what_iot_hub_appends_arrives_with_all_its_properties(namespace: Namespace) -> None:
    append(namespace, "hello")
    got: list[EventData] = []
    tracking: dict[str, Any] = {
        "track_last_enqueued_event_properties": True,
        "partition_id": PARTITION,
    }
    async with consumer(namespace, got, starting_position="-1", **tracking):
        assert await until(got, 1) == ["hello"]
        append(namespace, "live")
        assert await until(got, 2) == ["hello", "live"]
    annotations = got[0].raw_amqp_message.delivery_annotations or {}
    assert annotations[b"last_enqueued_sequence_number"] == 0
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


async def read(
    client: RawClient, handle: int, expression: str, *, group: str = "$Default"
) -> list[tuple[int, int, int, bytes]]:
    """Number, offset, time and body of what a selector finds, until there is no more."""
    filters = selector(f"amqp.annotation.x-opt-{expression}")
    assert await client.attach(handle, address(group), receives=True, filters=filters) is None
    client.flow(handle, 100, drain=True, window=100_000)
    events = []
    while (received := await client.receive())[1] == Performative.TRANSFER:
        parts = split(received[3])
        values = parts.read_message_annotations()
        assert isinstance(values["x-opt-offset"], str)
        place = values["x-opt-sequence-number"], int(values["x-opt-offset"])
        events.append((*place, values["x-opt-enqueued-time"], parts.read_body()))
    assert received[1] == Performative.FLOW
    client.send(1, Performative.DETACH, [UInt(handle), True, None])
    return events


async def test_every_kind_of_position(namespace: Namespace) -> None:
    for number in range(4):
        append(namespace, str(number))
        await asyncio.sleep(0.005)
    client = await root_client(namespace)
    _, offset, enqueued, _ = (await read(client, 1, "offset > '-1'"))[1]
    positions = {"offset": offset, "sequence-number": 1, "enqueued-time": enqueued}
    for field, value in positions.items():
        for operator, position, expected in (
            (">", value, [2, 3]),
            (">=", value, [1, 2, 3]),
            (">", -1, [0, 1, 2, 3]),
            (">", "@latest", []),
            (">", 10**17, []),
        ):
            events = await read(client, 2, f"{field} {operator} '{position}'")
            assert [event[0] for event in events] == expected
    await client.close()


async def test_groups_read_apart_and_an_unknown_one_is_refused(namespace: Namespace) -> None:
    append(namespace, "x")
    client = await root_client(namespace)
    for group in ("$Default", GROUP):
        assert len(await read(client, 1, "offset > '-1'", group=group)) == 1
    assert await client.attach(1, address("nobody"), receives=True) == "amqp:not-found"
    beyond = f"{HUB}/ConsumerGroups/$Default/Partitions/4"
    assert await client.attach(1, beyond, receives=True) == "amqp:not-found"
    await client.close()


async def test_the_log_survives_a_restart(tmp_path: Path) -> None:
    first = await open_namespace(tmp_path / "store.db")
    append(first, "before")
    await close_namespace(first)
    second = await open_namespace(tmp_path / "store.db")
    assert append(second, "after") == 1
    client = await root_client(second)
    events = await read(client, 1, "offset > '-1'")
    assert [(event[0], event[3]) for event in events] == [(0, b"before"), (1, b"after")]
    assert events[0][1] < events[1][1]
    await client.close()
    await close_namespace(second)


async def test_old_events_are_purged_and_numbers_go_on(tmp_path: Path) -> None:
    namespace = await open_namespace(tmp_path / "store.db")
    partition = namespace.hubs._hubs[HUB].partition(PARTITION)
    for number in range(1200):
        append(namespace, str(number))
    await namespace.store.durable()
    offset = partition.last.offset
    steps = 0
    while partition.purge(partition.last.enqueued + 1):
        steps += 1
    assert steps == 3  # no more than 500 at a time
    assert partition.empty
    await close_namespace(namespace)

    namespace = await open_namespace(tmp_path / "store.db")
    assert append(namespace, "after") == 1200
    client = await root_client(namespace)
    events = await read(client, 1, f"offset > '{offset}'")
    assert [(event[0], event[3]) for event in events] == [(1200, b"after")]
    await client.close()
    await close_namespace(namespace)


async def test_a_wrong_key_is_an_authentication_error(namespace: Namespace) -> None:
    wrong = EventHubProducerClient.from_connection_string(
        namespace.connection_string(entity=HUB, key="wrong"), retry_total=0
    )
    async with wrong:
        with pytest.raises(AuthenticationError):
            await wrong.get_eventhub_properties()


async def test_of_a_batch_with_a_damaged_event_nothing_is_kept(namespace: Namespace) -> None:
    attach = Attach(HUB, settled=False, selector=None, properties={})
    node = namespace.hubs.node(HUB)
    assert isinstance(node, SenderNode)
    target = node.open_target(attach, Link())
    damaged = section(MESSAGE_ANNOTATIONS, ["no map"]) + data_section(b"damaged")
    batch = data_section(data_section(b"sound")) + data_section(damaged)
    with pytest.raises(DecodeError):
        target.receive(batch, BATCHED)
    assert namespace.store.read("SELECT COUNT(*) FROM eventhub_event").fetchone() == (0,)


class Link:
    """A client's end with credit for ten deliveries."""

    credit = 10

    def __init__(self) -> None:
        self.deliveries: list[bytes] = []

    def send(self, payload: bytes, tag: bytes, *, settled: bool, message_format: int = 0) -> int:
        self.deliveries.append(payload)
        return len(self.deliveries)

    def detach(self, refusal: AmqpError) -> None:
        raise refusal


async def test_nothing_is_told_before_it_is_durable(namespace: Namespace) -> None:
    """Neither events nor the number of the last one, which a kill would take back."""
    append(namespace, "durable")
    namespace.store.commit()
    append(namespace, "not yet")
    tracking = frozenset({"com.microsoft:enable-receiver-runtime-metric"})
    link = Link()
    attach = Attach(address(), settled=True, selector=None, properties={}, capabilities=tracking)
    node = namespace.hubs.node(address())
    assert isinstance(node, ReceiverGroup)
    node.open_source(attach, link).pump()
    (payload,) = link.deliveries
    parts = split(payload)
    assert parts.read_body() == b"durable"
    told, _ = decode(parts.delivery_annotations, 3)  # behind the section's descriptor
    assert told["last_enqueued_sequence_number"] == 0
