"""Accounts whose queue refuses: parked and redelivered in order, and nobody else feels it."""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from azure.servicebus.management import EntityStatus

from services.ingest.logic import held
from services.ingest.logic.partition import Partition
from services.ingest.logic.pipeline import Pipeline
from services.ingest.logic.tending import Tending
from services.ingest.resources import Resources, message_path
from services.ingest.settings import IngestSettings
from services.ingest.store.ledgers import PartitionLost
from tests.ingest import refusing_queues
from tests.ingest.local_platform import Owner, Platform, eventually
from tests.ingest.made_stream import MadeStream, committed, parked, taken, working
from tests.ingest.mortal_path import Fault, killed, mortal
from tests.ingest.mqtt_gateway import Gateway

SETTINGS = IngestSettings(quota_data=1000, order_seconds=0.5)


@dataclass(frozen=True)
class Mended:
    """A queue takes again. Its messages from number `since` on are there, and other ones."""

    owner: Owner
    since: int = 1
    others: int = 0


Mend = Callable[[], Awaitable[Mended]]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(held, "MOST_SECONDS", 0.4)


async def refuse(platform: Platform, owner: Owner, how: str) -> Mend:
    """Have the account's queue refuse; returns what makes it take again."""
    if how == "full":
        filling = await refusing_queues.fill(platform, owner)

        async def leave() -> Mended:  # reading it makes room
            return Mended(owner, others=filling)

        return leave
    if how == "missing":
        await refusing_queues.delete(platform, owner)

        async def make() -> Mended:  # what was in it is gone with it
            return Mended(await refusing_queues.make_again(platform, owner), since=3)

        return make
    await refusing_queues.set_status(platform, owner, EntityStatus.DISABLED)

    async def enable() -> Mended:
        await refusing_queues.set_status(platform, owner, EntityStatus.ACTIVE)
        return Mended(owner)

    return enable


@pytest.mark.parametrize("how", ["full", "disabled", "missing"])
async def test_a_queue_that_refuses_holds_its_account_and_nobody_else(
    platform: Platform, ingest: Resources, how: str
) -> None:
    owner, other = await platform.owner(), await platform.owner()
    pump, fan = await platform.gateway(owner), await platform.gateway(owner)
    boiler = await platform.gateway(other)
    stream = MadeStream(created=datetime.now(UTC).isoformat())  # all is charged to one day
    async with working((ingest.pipeline, ingest.tending), stream) as partition:
        await ingest.pipeline.process(partition, stream.add_round(pump, fan, boiler, times=2))
        mend = await refuse(platform, owner, how)
        first = len(stream.events)
        async with asyncio.timeout(30):
            for _ in range(3):
                await ingest.pipeline.process(
                    partition, stream.add_round(pump, fan, boiler, times=40)
                )
        assert await taken(other, 122, boiler) == [stream.bodies(boiler)]
        position = (await committed(platform, stream))["position"]
        assert position["held"] == {owner.user_id: first}
        assert position["sequence_number"] == len(stream.events) - 1
        documents = await parked(platform, owner.user_id)
        assert len(documents) == 240
        assert how in min(documents, key=lambda each: each["sequence_number"])["detail"]
        ledger = (await committed(platform, stream))[pump.device_id]
        assert (ledger["messages"], ledger["quota"]["data"]) == (122, 122)

        mended = await mend()
        await ingest.pipeline.process(partition, stream.add_round(pump, fan))
        expected = [stream.bodies(each, mended.since) for each in (pump, fan)]
        count = sum(map(len, expected)) + mended.others
        assert await taken(mended.owner, count, pump, fan) == expected

        async def released() -> bool:
            return not (await committed(platform, stream))["position"]["held"]

        await eventually(released)
        await ingest.pipeline.process(partition, stream.add_round(pump))
        assert await taken(mended.owner, 1, pump) == [[f"{stream.mids[pump.device_id]}".encode()]]
        assert not await parked(platform, owner.user_id)


async def test_an_account_without_a_record_is_held_until_it_has_one(
    platform: Platform, ingest: Resources
) -> None:
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    accounts = platform.resources.azure.database.get_container_client("accounts")
    record = await accounts.read_item(owner.user_id, owner.user_id)
    await accounts.delete_item(owner.user_id, owner.user_id)
    stream = MadeStream()
    async with working((ingest.pipeline, ingest.tending), stream) as partition:
        await ingest.pipeline.process(partition, stream.add_round(gateway, times=3))
        assert {each["detail"] for each in await parked(platform, owner.user_id)} == {
            "the account has no record"
        }
        record["servicebus_namespace"] = "nowhere"
        await accounts.upsert_item(record)
        await asyncio.sleep(1)
        assert list(partition.held) == [owner.user_id]
        record["servicebus_namespace"] = "local"
        await accounts.upsert_item(record)
        assert await taken(owner, 3, gateway) == [stream.bodies(gateway)]


async def fleet(platform: Platform) -> tuple[list[Owner], list[tuple[Owner, Gateway]]]:
    owners = [await platform.owner(), await platform.owner()]
    return owners, [(owner, await platform.gateway(owner)) for owner in owners for _ in range(2)]


def shuffled(fleet: list[tuple[Owner, Gateway]], rng: random.Random, each: int) -> MadeStream:
    stream = MadeStream()
    gateways = [gateway for _, gateway in fleet] * each
    rng.shuffle(gateways)
    for gateway in gateways:
        stream.add(gateway)
    return stream


async def check(
    platform: Platform, stream: MadeStream, fleet: list[tuple[Owner, Gateway]], each: int
) -> None:
    for owner in {owner for owner, _ in fleet}:
        gateways = [gateway for whose, gateway in fleet if whose == owner]
        got = await taken(owner, each * len(gateways), *gateways)
        assert got == [stream.bodies(gateway) for gateway in gateways]
        assert not await parked(platform, owner.user_id)
    documents = await committed(platform, stream)
    assert documents["position"]["held"] == {}
    for _, gateway in fleet:
        assert documents[gateway.device_id]["messages"] == each


async def drain(tending: Tending, partition: Partition) -> None:
    """Drain until all is released, or it is killed, or the queue refuses for some time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            for user_id in list(partition.held):
                await tending.held.drain(partition, user_id)


async def test_killed_while_accounts_are_held_drained_and_released(
    platform: Platform, ingest: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held, "FIRST_SECONDS", 0.01)
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    owners, gateways = await fleet(platform)
    stream = shuffled(gateways, rng, each=25)
    fault = Fault(rng, at_least_every=15)
    refusing = True
    await refusing_queues.set_status(platform, owners[0], EntityStatus.DISABLED)
    ever_held = 0
    while True:
        pipeline, tending = message_path(SETTINGS, mortal(ingest.stores, fault))
        partition = pipeline.partition(stream.name)
        await partition.read()
        ever_held += len(partition.held)
        done = partition.position == len(stream.events) - 1
        if done and not partition.held:
            break
        if ever_held and rng.random() < 0.4:
            refusing = not refusing and not done
            status = EntityStatus.DISABLED if refusing else EntityStatus.ACTIVE
            await refusing_queues.set_status(platform, owners[0], status)
        start = max(0, partition.position - rng.randrange(20))
        batch = stream.events[start : partition.position + 1 + rng.randrange(1, 16)]
        # A commit that was under way when a drain was cut off may go through after this read.
        with killed(), suppress(PartitionLost):
            await pipeline.process(partition, batch)
            if not refusing or rng.random() < 0.3:
                await drain(tending, partition)
    assert fault.kills > 0, "nothing was killed: the test shows nothing"
    assert ever_held > 0, "nobody was held: the test shows nothing"
    async with working((ingest.pipeline, ingest.tending), stream):  # clears what is left over

        async def cleared() -> bool:
            return not any([await parked(platform, owner.user_id) for owner in owners])

        await eventually(cleared)
    await check(platform, stream, gateways, each=25)


async def test_two_processes_with_a_held_account(platform: Platform, ingest: Resources) -> None:
    rng = random.Random(5)
    owners, gateways = await fleet(platform)
    stream = shuffled(gateways, rng, each=40)
    lost = 0

    async def work(path: tuple[Pipeline, Tending], step: int) -> None:
        nonlocal lost
        async with working(path, stream) as partition:
            while partition.position < len(stream.events) - 1 or partition.held:
                batch = stream.events[partition.position + 1 :][:step]
                try:
                    await path[0].process(partition, batch)
                except PartitionLost:
                    lost += 1
                    await partition.read()
                await asyncio.sleep(0.05)

    async def trouble() -> None:
        for status in (EntityStatus.DISABLED, EntityStatus.ACTIVE) * 3:
            await refusing_queues.set_status(platform, owners[0], status)
            await asyncio.sleep(rng.uniform(0.3, 0.8))

    paths = [message_path(SETTINGS, ingest.stores) for _ in range(2)]
    await asyncio.gather(work(paths[0], 7), work(paths[1], 11), trouble())
    assert lost > 0, "the two never met: the test shows nothing"
    async with working(paths[0], stream):

        async def cleared() -> bool:
            return not await parked(platform, owners[0].user_id)

        await eventually(cleared)
    await check(platform, stream, gateways, each=40)


async def test_a_process_that_lost_the_partition_overtakes_nothing_that_the_other_parked(
    platform: Platform, ingest: Resources
) -> None:
    """Newer ledgers than its position would tell it that what is parked was delivered."""
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    stream = MadeStream()
    stream.add_round(gateway, times=10)
    zombie, partition = (ingest.pipeline.partition(stream.name) for _ in range(2))
    await zombie.read()
    await refusing_queues.set_status(platform, owner, EntityStatus.DISABLED)
    await ingest.pipeline.process(partition, stream.events[:5])
    await refusing_queues.set_status(platform, owner, EntityStatus.ACTIVE)
    with pytest.raises(PartitionLost):
        await ingest.pipeline.process(zombie, stream.events)
    async with working((ingest.pipeline, ingest.tending), stream) as partition:
        await ingest.pipeline.process(partition, stream.events[5:])
        assert await taken(owner, 10, gateway) == [stream.bodies(gateway)]


async def test_what_a_lost_attempt_parked_is_deleted_unsent(
    platform: Platform, ingest: Resources
) -> None:
    held_owner, owner = await platform.owner(), await platform.owner()
    gateways = [await platform.gateway(held_owner), await platform.gateway(owner)]
    stream = MadeStream()
    path = (ingest.pipeline, ingest.tending)
    pipeline = ingest.pipeline
    partition = pipeline.partition(stream.name)
    await pipeline.process(partition, stream.add_round(*gateways, times=5))
    await refusing_queues.set_status(platform, held_owner, EntityStatus.DISABLED)
    await pipeline.process(partition, stream.add_round(*gateways, times=5))
    # Copies of what was sent, under other ids, so that a queue would not drop them.
    (copy, *_) = await ingest.stores.parked.refused(held_owner.user_id, stream.name)
    await ingest.stores.parked.put(
        [
            copy.model_copy(update={"id": f"copy-{n}", "sequence_number": n, "holder": holder})
            for n in range(8)
            for holder in (held_owner.user_id, owner.user_id)
        ]
    )
    await refusing_queues.set_status(platform, held_owner, EntityStatus.ACTIVE)
    async with working(path, stream):

        async def cleared() -> bool:
            return not any([await parked(platform, each.user_id) for each in (held_owner, owner)])

        await eventually(cleared)
    for each, gateway in zip((held_owner, owner), gateways, strict=True):
        assert await taken(each, 10, gateway) == [stream.bodies(gateway)]
