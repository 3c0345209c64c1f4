"""Redeliveries that the operator ordered."""

import asyncio
import random
import secrets
from datetime import UTC, datetime
from typing import Any

import pytest
from azure.servicebus.management import EntityStatus

from services.ingest.logic import held
from services.ingest.resources import Resources, message_path
from services.ingest.settings import IngestSettings
from services.ingest.store.ledgers import ORDERS_AT_ONCE
from shared.database import NOTIFICATIONS, PARKED, STREAM
from shared.schemas.documents import ParkedMessage, Redelivery
from tests.ingest import refusing_queues
from tests.ingest.local_platform import Owner, Platform, eventually
from tests.ingest.made_stream import MadeStream, committed, parked, taken, working
from tests.ingest.mortal_path import Fault, killed, mortal
from tests.ingest.mqtt_gateway import Gateway

SETTINGS = IngestSettings(quota_data=5, quota_notifications=0, order_seconds=0.3)


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(held, "MOST_SECONDS", 0.4)


async def order(platform: Platform, document: dict[str, Any]) -> None:
    """Order a redelivery as the operator's tool does."""
    now = datetime.now(UTC)
    message = ParkedMessage.model_validate(document)
    message = message.model_copy(update={"ordered_at": now})
    database = platform.resources.azure.database
    redelivery = Redelivery(
        id=f"redelivery {message.id}", partition=message.stream, message=message, ordered_at=now
    )
    await database.get_container_client(STREAM.name).create_item(redelivery.model_dump(mode="json"))
    await database.get_container_client(PARKED.name).upsert_item(message.model_dump(mode="json"))


async def above_the_quota(
    platform: Platform, ingest: Resources
) -> tuple[Owner, Gateway, MadeStream]:
    """A gateway with 5 messages on the queue, then 4 and a notification above the quota."""
    owner = await platform.owner()
    gateway = await platform.gateway(owner)
    stream = MadeStream()
    stream.add_round(gateway, times=9)
    stream.add(gateway, b"hot", type="notification", level="3")
    pipeline, _ = message_path(SETTINGS, ingest.stores)
    await pipeline.process(pipeline.partition(stream.name), stream.events)
    assert len(await parked(platform, owner.user_id, "over_quota")) == 5
    return owner, gateway, stream


async def orders_left(platform: Platform, stream: MadeStream) -> list[str]:
    return [each for each in await committed(platform, stream) if each.startswith("redelivery")]


async def test_what_was_above_the_quota_is_delivered_and_counted(
    platform: Platform, ingest: Resources
) -> None:
    owner, gateway, stream = await above_the_quota(platform, ingest)
    async with working(message_path(SETTINGS, ingest.stores), stream):
        for document in await parked(platform, owner.user_id, "over_quota"):
            await order(platform, document)
        got = await taken(owner, 9, gateway)

        async def done() -> bool:
            return not await orders_left(platform, stream)

        await eventually(done)
    assert [sorted(each) for each in got] == [stream.bodies(gateway)[:9]]
    assert not await platform.all_of(PARKED.name, owner.user_id)
    notifications = await platform.all_of(NOTIFICATIONS.name, owner.user_id)
    assert "hot" in {each["text"] for each in notifications}
    ledger = (await committed(platform, stream))[gateway.device_id]
    assert (ledger["messages"], ledger["quota"]["data"]) == (10, 5)


async def test_more_orders_than_are_read_at_once(platform: Platform, ingest: Resources) -> None:
    owner = await platform.owner()
    pump, fan = await platform.gateway(owner), await platform.gateway(owner)
    stream = MadeStream()
    stream.add_round(pump, fan, times=52)
    settings = IngestSettings(quota_data=0, order_seconds=60)
    pipeline, tending = message_path(settings, ingest.stores)
    await pipeline.process(pipeline.partition(stream.name), stream.events)
    documents = await parked(platform, owner.user_id, "over_quota")
    await asyncio.gather(*(order(platform, each) for each in documents))
    assert len(await ingest.stores.ledgers.orders(stream.name)) == ORDERS_AT_ONCE < 104
    async with working((pipeline, tending), stream):
        assert await taken(owner, 104, pump, fan) == [stream.bodies(pump), stream.bodies(fan)]


async def test_what_is_malformed_still_stays_and_says_so(
    platform: Platform, ingest: Resources
) -> None:
    owner = await platform.owner()
    gateway, unowned = await platform.gateway(owner), await platform.gateway()
    stream = MadeStream()
    stream.add(gateway, b"")
    stream.add(unowned, b"x", type="picture")
    path = message_path(SETTINGS, ingest.stores)
    await path[0].process(path[0].partition(stream.name), stream.events)
    async with working(path, stream):
        for holder in (owner.user_id, unowned.device_id):
            (document,) = await parked(platform, holder, "malformed")
            document["detail"] = "as it was"
            await order(platform, document)

        async def done() -> bool:
            return not await orders_left(platform, stream)

        await eventually(done)
    (document,) = await parked(platform, owner.user_id, "malformed")
    assert (document["detail"], document["ordered_at"]) == ("a data message is empty", None)
    (document,) = await parked(platform, unowned.device_id, "malformed")
    assert "paired first" in document["detail"]
    assert document["ordered_at"] is None


async def test_killed_while_orders_are_carried_out_to_a_queue_that_refuses_at_times(
    platform: Platform, ingest: Resources
) -> None:
    seed = secrets.randbelow(10**6)
    print(f"seed {seed}")
    rng = random.Random(seed)
    owner, gateway, stream = await above_the_quota(platform, ingest)
    for document in await parked(platform, owner.user_id, "over_quota"):
        await order(platform, document)
    fault = Fault(rng, at_least_every=15)
    while left := await orders_left(platform, stream):
        pipeline, tending = message_path(SETTINGS, mortal(ingest.stores, fault))
        partition = pipeline.partition(stream.name)
        takes = len(left) == 5 and rng.random() < 0.5  # the last ones find it refusing
        status = EntityStatus.ACTIVE if takes else EntityStatus.DISABLED
        await refusing_queues.set_status(platform, owner, status)
        with killed():
            await tending.orders.carry_out(partition)
    assert fault.kills > 0, "nothing was killed: the test shows nothing"
    assert await parked(platform, owner.user_id), "nothing was refused: the test shows nothing"
    await refusing_queues.set_status(platform, owner, EntityStatus.ACTIVE)
    async with working(message_path(SETTINGS, ingest.stores), stream):
        got = await taken(owner, 9, gateway)

        async def released() -> bool:
            return not (await committed(platform, stream))["position"]["held"]

        await eventually(released)
    assert [sorted(each) for each in got] == [stream.bodies(gateway)[:9]]
    assert not await platform.all_of(PARKED.name, owner.user_id)
    assert (await committed(platform, stream))[gateway.device_id]["messages"] == 10
