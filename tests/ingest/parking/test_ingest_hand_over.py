"""What a gateway sent before anybody had paired it reaches its first owner, once and in order."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest
from azure.servicebus.management import EntityStatus

from services.ingest.logic import held
from services.ingest.resources import Resources, message_path
from services.ingest.settings import IngestSettings
from services.ingest.store.directory import Directory
from services.ingest.store.ledgers import LedgerStore, PartitionLost
from shared.database import NOTIFICATIONS
from shared.schemas import documents
from tests.ingest import refusing_queues
from tests.ingest.local_platform import Platform, eventually
from tests.ingest.made_stream import MadeStream, committed, parked, taken, working
from tests.ingest.mortal_path import Fault, FaultAt, Killed, killed, mortal
from tests.ingest.mqtt_gateway import Gateway

SETTINGS = IngestSettings(quota_data=1000, order_seconds=0.5)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(held, "MOST_SECONDS", 0.4)


async def waits(platform: Platform, gateway: Gateway, count: int) -> None:
    async def there() -> bool:
        return len(await parked(platform, gateway.device_id, "no_owner")) == count

    await eventually(there)


async def test_before_pairing_then_more_then_silence(platform: Platform) -> None:
    owner = await platform.owner()
    talker, silent = await platform.gateway(), await platform.gateway()
    async with talker, silent:
        for n in range(5):
            talker.send(f"{n}".encode())
            silent.send(f"{n}".encode())
        silent.send(b"cold", type="notification", level="1")
        await talker.delivered()
        await silent.delivered()
        await waits(platform, talker, 5)
        await waits(platform, silent, 6)
        await platform.pair(talker, owner)
        await platform.pair(silent, owner)
        for n in range(5, 8):
            talker.send(f"{n}".encode())
        await talker.delivered()
        bodies = [f"{n}".encode() for n in range(8)]
        got = await taken(owner, 13, talker, silent)
        assert got == [bodies, bodies[:5]]
    (notification,) = await platform.all_of(NOTIFICATIONS.name, owner.user_id)
    assert notification["text"] == "cold"
    for gateway, count in ((talker, 8), (silent, 6)):
        await waits(platform, gateway, 0)
        await platform.counted(owner, gateway, count)


class TellsLate:
    """A directory: when first asked for gateways, something happens after they were read."""

    def __init__(self, inner: Directory, then: Callable[[], Awaitable[object]]) -> None:
        self._inner = inner
        self._then: Callable[[], Awaitable[object]] | None = then

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def gateways(self, devices: Collection[str]) -> dict[str, documents.Gateway]:
        found = await self._inner.gateways(devices)
        if self._then is not None:
            then, self._then = self._then, None
            await then()
            await self._inner.gateways(devices)  # by now what changed was told of
        return found


async def test_silent_after_pairing(platform: Platform, ingest: Resources) -> None:
    """Without even the events that IoT Hub makes of the pairing."""
    owner = await platform.owner()
    gateway = await platform.gateway()
    stream = MadeStream()
    looked = asyncio.Barrier(2)
    late = TellsLate(ingest.stores.directory, looked.wait)
    path = message_path(SETTINGS, replace(ingest.stores, directory=cast(Directory, late)))
    async with working(path, stream) as partition:
        await path[0].process(partition, stream.add_round(gateway, times=5))
        await looked.wait()  # it had no owner
        assert partition.waiting == {gateway.device_id}
        assert not partition.unchecked
        await platform.pair(gateway, owner)
        assert await taken(owner, 5, gateway) == [stream.bodies(gateway)]


async def test_paired_while_one_looks(platform: Platform, ingest: Resources) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway()
    stream = MadeStream()
    late = TellsLate(ingest.stores.directory, lambda: platform.pair(gateway, owner))
    path = message_path(SETTINGS, replace(ingest.stores, directory=cast(Directory, late)))
    async with working(path, stream) as partition:
        await ingest.pipeline.process(partition, stream.add_round(gateway, times=5))
        assert await taken(owner, 5, gateway) == [stream.bodies(gateway)]


async def test_paired_while_ingest_is_down(platform: Platform) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway()
    process = platform.stack.processes["ingest"]
    async with gateway:
        for n in range(5):
            gateway.send(f"{n}".encode())
        await gateway.delivered()
        await waits(platform, gateway, 5)
    await process.stop()
    await platform.pair(gateway, owner)
    await process.start()
    assert await taken(owner, 5, gateway) == [[f"{n}".encode() for n in range(5)]]


async def test_killed_amid_a_hand_over(platform: Platform, ingest: Resources) -> None:
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    owner, second = await platform.owner(), await platform.owner()
    gateway = await platform.gateway()
    stream = MadeStream()
    for n in range(1, 231):
        kind = {"type": "notification", "level": "1"} if n % 10 == 0 else {}
        stream.add(gateway, None, **kind)
    partition = ingest.pipeline.partition(stream.name)
    await ingest.pipeline.process(partition, stream.events)
    await platform.pair(gateway, owner)
    await platform.unpair(gateway, owner)
    await platform.pair(gateway, second)
    stream.add(gateway)
    fault = Fault(random.Random(seed), at_least_every=20)
    while True:
        pipeline, tending = message_path(SETTINGS, mortal(ingest.stores, fault))
        partition = pipeline.partition(stream.name)
        await partition.read()
        if partition.position == len(stream.events) - 1:
            break
        with killed():
            if fault.kills % 2:
                await tending.hand_over.look(partition)
            await pipeline.process(partition, stream.events[-20:])
    assert fault.kills > 0, "nothing was killed: the test shows nothing"
    expected = [each for each in stream.bodies(gateway)[:-1] if not each.endswith(b"0")]
    assert await taken(owner, len(expected), gateway) == [expected]
    assert await taken(second, 1, gateway) == [[b"231"]]
    assert len(await platform.all_of(NOTIFICATIONS.name, owner.user_id)) == 23
    assert not await parked(platform, gateway.device_id, "no_owner")
    ledger = (await committed(platform, stream))[gateway.device_id]
    assert (ledger["waiting"], ledger["messages"]) == (False, 1)  # the second owner's
    assert ledger["owner"].startswith(second.user_id)


async def test_a_first_owner_whose_queue_refuses(platform: Platform, ingest: Resources) -> None:
    owner = await platform.owner()
    early, late = await platform.gateway(), await platform.gateway(owner)
    stream = MadeStream()
    partition = ingest.pipeline.partition(stream.name)
    await ingest.pipeline.process(partition, stream.add_round(early, late, times=150))
    await refusing_queues.set_status(platform, owner, EntityStatus.DISABLED)
    await ingest.pipeline.process(partition, stream.add_round(late, times=3))
    assert owner.user_id in partition.held
    await platform.pair(early, owner)
    await ingest.pipeline.process(partition, stream.add_round(early, late, times=3))
    assert not await parked(platform, early.device_id, "no_owner")
    assert len(await parked(platform, owner.user_id)) == 150 + 3 + 6
    await refusing_queues.set_status(platform, owner, EntityStatus.ACTIVE)
    async with working((ingest.pipeline, ingest.tending), stream):
        got = await taken(owner, 309, early, late)
    assert got == [stream.bodies(early), stream.bodies(late)]


async def test_a_process_that_lost_the_partition_hands_no_second_page_over_before_the_first(
    platform: Platform, ingest: Resources
) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway()
    stream = MadeStream()
    zombie = ingest.pipeline.partition(stream.name)
    await ingest.pipeline.process(zombie, stream.add_round(gateway, times=150))
    await platform.pair(gateway, owner)
    await refusing_queues.set_status(platform, owner, EntityStatus.DISABLED)
    # The other process ends after the first page: its queue, documents, commit and deletes.
    _, tending = message_path(SETTINGS, mortal(ingest.stores, FaultAt(11)))
    partition = ingest.pipeline.partition(stream.name)
    await partition.read()
    with killed():
        await tending.hand_over.look(partition)
    assert len(await parked(platform, owner.user_id)) == 100
    assert len(await parked(platform, gateway.device_id, "no_owner")) == 50
    await refusing_queues.set_status(platform, owner, EntityStatus.ACTIVE)
    with pytest.raises(PartitionLost):
        await ingest.pipeline.process(zombie, stream.add_round(gateway))
    async with working((ingest.pipeline, ingest.tending), stream) as partition:
        await ingest.pipeline.process(partition, stream.events[150:])
        assert await taken(owner, 151, gateway) == [stream.bodies(gateway)]


async def test_taken_just_before_the_pairing_and_processed_after_it(
    platform: Platform, ingest: Resources
) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway()
    stream = MadeStream()
    stream.add_round(gateway, times=4)
    await platform.pair(gateway, owner)
    found = await platform.resources.gateways.get(gateway.device_id)
    assert found is not None
    began = found[0].pairings[0].started_at
    assert all(each.enqueued_at < began + timedelta(seconds=1) for each in stream.events)
    assert datetime.now(UTC) > began
    stream.add_round(gateway, times=4)
    partition = ingest.pipeline.partition(stream.name)
    await ingest.pipeline.process(partition, stream.events)
    assert await taken(owner, 8, gateway) == [stream.bodies(gateway)]
    assert not await parked(platform, gateway.device_id, "no_owner")


class DiesBeforeItsCommit:
    """The ledgers of a process that is killed once everything else is done."""

    def __init__(self, inner: LedgerStore) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def commit(self, *_values: object) -> str:
        raise Killed


async def test_killed_before_the_commit_then_paired(platform: Platform, ingest: Resources) -> None:
    """The next attempt delivers what this one parked: it must not stay parked."""
    owner = await platform.owner()
    gateway = await platform.gateway()
    stream = MadeStream()
    stream.add_round(gateway, times=4)
    dying = cast(LedgerStore, DiesBeforeItsCommit(ingest.stores.ledgers))
    pipeline, _ = message_path(SETTINGS, replace(ingest.stores, ledgers=dying))
    with killed():
        await pipeline.process(pipeline.partition(stream.name), stream.events)
    assert len(await parked(platform, gateway.device_id, "no_owner")) == 4
    await platform.pair(gateway, owner)
    partition = ingest.pipeline.partition(stream.name)
    await ingest.pipeline.process(partition, stream.events)
    assert await taken(owner, 4, gateway) == [stream.bodies(gateway)]
    assert not await parked(platform, gateway.device_id, "no_owner")
