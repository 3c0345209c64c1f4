"""Every message once and in order, whatever is cut off, repeated, refused or killed."""

import asyncio
import random
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import pytest

from services.ingest.logic.events import RawEvent
from services.ingest.logic.pipeline import Pipeline
from services.ingest.resources import Resources, message_path
from services.ingest.settings import IngestSettings
from services.ingest.store.ledgers import PartitionLost
from shared.database import NOTIFICATIONS, PARKED, STREAM
from tests.ingest.local_platform import (
    Owner,
    Platform,
    body_of,
    eventually,
    properties_of,
    receive,
)
from tests.ingest.made_events import raw_event
from tests.ingest.mortal_path import Fault, killed, mortal
from tests.ingest.mqtt_gateway import Gateway
from tests.log_lines import log_lines

SETTINGS = IngestSettings()
MESSAGES = 40  # of each gateway, each tenth of them a notification


async def fleet(platform: Platform) -> tuple[list[Owner], list[tuple[Owner, Gateway]]]:
    """Two accounts with two gateways each."""
    owners = [await platform.owner(), await platform.owner()]
    gateways = [(owner, await platform.gateway(owner)) for owner in owners for _ in range(2)]
    return owners, gateways


def made_stream(gateways: Sequence[tuple[Owner, Gateway]], rng: random.Random) -> list[RawEvent]:
    """The gateways' messages interleaved; one in five is delivered again by the hub."""
    events: list[RawEvent] = []
    now = datetime.now(UTC)  # of all: they are charged to one day
    sent = dict.fromkeys((gateway.device_id for _, gateway in gateways), 0)
    while any(count < MESSAGES for count in sent.values()):
        device_id = rng.choice([each for each, count in sent.items() if count < MESSAGES])
        sent[device_id] += 1
        again = rng.choice((0, 0, 0, 0, 1))
        for number in range(max(1, sent[device_id] - again), sent[device_id] + 1):
            kind = {"type": "notification", "level": "1"} if number % 10 == 0 else {}
            events.append(
                raw_event(
                    len(events),
                    f"{number}".encode(),
                    device_id=device_id,
                    mid=str(number),
                    enqueued_at=now,
                    **kind,
                )
            )
    return events


async def check(platform: Platform, gateways: Sequence[tuple[Owner, Gateway]], stream: str) -> None:
    """Each gateway's messages are there once and in order, and are counted once."""
    devices: dict[Owner, list[str]] = {}
    for owner, gateway in gateways:
        devices.setdefault(owner, []).append(gateway.device_id)
    await asyncio.gather(*(check_owner(platform, *each) for each in devices.items()))
    ledgers = {each["id"]: each for each in await platform.all_of(STREAM.name, stream)}
    for _, gateway in gateways:
        assert ledgers[gateway.device_id]["messages"] == MESSAGES
        assert ledgers[gateway.device_id]["highest_mid"] == MESSAGES
        quota = ledgers[gateway.device_id]["quota"]
        assert (quota["data"], quota["notifications"]) == (MESSAGES * 9 // 10, MESSAGES // 10)


async def check_owner(platform: Platform, owner: Owner, devices: Sequence[str]) -> None:
    expected = [str(n) for n in range(1, MESSAGES + 1) if n % 10]
    messages = await receive(owner, len(expected) * len(devices), quiet=0.3)
    for device_id in devices:
        got = [
            body_of(each).decode()
            for each in messages
            if properties_of(each)["iothub-connection-device-id"] == device_id
        ]
        assert got == expected
    notifications = await platform.all_of(NOTIFICATIONS.name, owner.user_id)
    assert len(notifications) == MESSAGES // 10 * len(devices)


async def test_killed_between_any_two_steps(platform: Platform, ingest: Resources) -> None:
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    _, gateways = await fleet(platform)
    events = made_stream(gateways, rng)
    stream = f"killed-{seed}/0"
    fault = Fault(rng, at_least_every=12)
    while True:
        pipeline, _ = message_path(SETTINGS, mortal(ingest.stores, fault))
        partition = pipeline.partition(stream)
        await partition.read()
        if partition.position == events[-1].sequence_number:
            break
        # As far back as a checkpoint may lag, as far on as a batch may reach.
        start = max(0, partition.position - rng.randrange(20))
        batch = events[start : partition.position + 1 + rng.randrange(1, 40)]
        with killed():
            await pipeline.process(partition, batch)
    assert fault.kills > 1, "hardly anything was killed: the test shows nothing"
    await check(platform, gateways, stream)


async def test_cancelled_amid_a_send(platform: Platform, pipeline: Pipeline) -> None:
    _, gateways = await fleet(platform)
    events = made_stream(gateways, random.Random(3))
    stream = f"cancelled-{secrets.token_hex(4)}/0"
    for end, seconds in ((40, 0.3), (80, 0.6), (120, 0.01), (len(events), 60)):
        partition = pipeline.partition(stream)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await pipeline.process(partition, events[:end])
    await check(platform, gateways, stream)


async def test_two_processes_that_both_believe_they_own_a_partition(
    platform: Platform, pipeline: Pipeline
) -> None:
    rng = random.Random(7)
    _, gateways = await fleet(platform)
    events = made_stream(gateways, rng)
    stream = f"twice-{secrets.token_hex(4)}/0"
    lost = 0

    async def work(step: int) -> None:
        nonlocal lost
        partition = pipeline.partition(stream)
        await partition.read()
        while partition.position < events[-1].sequence_number:
            batch = events[partition.position + 1 : partition.position + 1 + step]
            try:
                await pipeline.process(partition, batch)
            except PartitionLost:
                lost += 1
                partition = pipeline.partition(stream)
                await partition.read()

    first = pipeline.partition(stream)
    await pipeline.process(first, events[:10])
    paused = pipeline.partition(stream)
    await paused.read()
    await asyncio.gather(work(7), work(11))
    assert lost > 0, "the two never met: the test shows nothing"
    for late in (first, paused):
        with pytest.raises(PartitionLost):
            await pipeline.process(late, events[:30])
    await check(platform, gateways, stream)


async def test_garbage_of_many_gateways_is_parked_and_stops_nobody(
    platform: Platform, pipeline: Pipeline
) -> None:
    good, bad = await platform.owner(), await platform.owner()
    victim = await platform.gateway(good)
    gateways = [await platform.gateway(bad) for _ in range(5)]
    now = datetime.now(UTC)
    events = [
        raw_event(n, b"", device_id=gateways[n % 5].device_id, mid=str(n + 1), enqueued_at=now)
        for n in range(250)
    ]
    events.append(raw_event(250, b"x", device_id=victim.device_id, mid="1", enqueued_at=now))
    partition = pipeline.partition(f"garbage-{secrets.token_hex(4)}/0")
    await pipeline.process(partition, events)
    assert [body_of(each) for each in await receive(good, 1)] == [b"x"]
    assert len(await platform.all_of(PARKED.name, bad.user_id)) == 250


async def test_a_killed_process_goes_on_where_it_was(platform: Platform) -> None:
    owner = await platform.owner()
    gateways = [await platform.gateway(owner) for _ in range(3)]
    process = platform.stack.processes["ingest"]
    bodies = [f"{n}".encode() for n in range(90)]

    async def publish(gateway: Gateway) -> None:
        async with gateway:
            for body in bodies:
                gateway.send(body)
                await asyncio.sleep(0.02)
            await gateway.delivered()

    async def taken() -> bool:
        found = [await platform.document(owner, gateway) for gateway in gateways]
        return all(each.stat_device_id for each in found)

    for gateway in gateways:
        async with gateway:
            await gateway.delivered()
    await eventually(taken)  # each of their partitions is being worked on
    publishing = asyncio.gather(*map(publish, gateways))
    await asyncio.sleep(random.uniform(0.2, 1.6))
    await process.kill()
    await process.start()
    await publishing
    messages = await receive(owner, len(bodies) * len(gateways))
    for gateway in gateways:
        got = [
            body_of(each)
            for each in messages
            if properties_of(each)["iothub-connection-device-id"] == gateway.device_id
        ]
        assert got == bodies
        await platform.counted(owner, gateway, len(bodies))


async def test_sigterm_commits_what_is_in_hand_and_hands_its_partitions_over(
    platform: Platform,
) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    process, log = platform.stack.processes["ingest"], platform.stack.log_file("ingest")
    async with gateway:
        gateway.send(b"first")
        assert len(await receive(owner, 1)) == 1  # its partition is this process's
        before = len(log_lines(log, "partition closed"))
        for n in range(80):
            gateway.send(f"{n}".encode())
        await process.stop()  # kills what does not end in time
        code = await process.exited()
        closed = log_lines(log, "partition closed")[before:]
        await process.start()
        await gateway.delivered()
        messages = await receive(owner, 80)
    # What it had in hand was done before; the SDK then gives the blob of the ownership back, if it
    # is not just renewing it.
    assert code == 0
    assert {each["reason"] for each in closed} == {"SHUTDOWN"}
    assert [body_of(each) for each in messages] == [f"{n}".encode() for n in range(80)]
