"""Cloud-to-device messages: ten in the store, the eleventh in the cloud, none twice."""

import asyncio

from tests.x400.gateways import DEVICE_ID, running, until
from tests.x400.local_hub import Hub
from x400.board import DATAREQ
from x400.gateway import Gateway
from x400.inbox import KEPT, MESSAGE_BYTES, message_id
from x400.settings import GatewaySettings


async def until_waiting_in_cloud(hub: Hub, count: int) -> None:
    await until(lambda: hub.waiting(DEVICE_ID) == count)


async def test_a_user_message_is_kept_until_it_is_read(hub: Hub, gateway: Gateway) -> None:
    assert not gateway.app.userMessageAvailable()
    assert gateway.app.userMessageRead() == b""
    hub.send(DEVICE_ID, b'{"set": 1}', "m-1")
    await gateway.until_user_message()
    await until_waiting_in_cloud(hub, 0)
    assert gateway.app.digitalRead(DATAREQ) == 1
    assert gateway.app.userMessageRead() == b'{"set": 1}'
    assert not gateway.app.userMessageAvailable()
    assert gateway.app.digitalRead(DATAREQ) == 0


async def test_the_eleventh_stays_in_the_cloud_until_there_is_room(
    hub: Hub, gateway: Gateway
) -> None:
    for number in range(KEPT + 3):
        hub.send(DEVICE_ID, b"%d" % number, f"id {number}")
    await until_waiting_in_cloud(hub, 3)
    await asyncio.sleep(0.1)
    assert hub.waiting(DEVICE_ID) == 3
    assert gateway.app.userMessageRead() == b"0"
    await until_waiting_in_cloud(hub, 2)
    read = [gateway.app.userMessageRead() for _ in range(12)]
    assert read == [b"%d" % n for n in range(1, KEPT + 3)]
    await until_waiting_in_cloud(hub, 0)


async def test_a_full_inbox_survives_kill_and_reconnect(
    hub: Hub, settings: GatewaySettings
) -> None:
    async with running(Gateway(settings)) as gateway:
        await gateway.until_connected()
        for number in range(KEPT + 2):
            hub.send(DEVICE_ID, b"%d" % number, f"{number}")
        await until_waiting_in_cloud(hub, 2)
        gateway.unplug()
        await asyncio.sleep(0.05)
        gateway.plug()
        await gateway.until_connected()
        assert gateway.core.inbox.waiting() == KEPT
    async with running(Gateway(settings)) as gateway:
        assert gateway.core.inbox.waiting() == KEPT
        await gateway.until_connected()
        read: list[bytes] = []
        async with asyncio.timeout(5):
            while len(read) < KEPT + 2:
                await gateway.until_user_message()
                read.append(gateway.app.userMessageRead())
        assert read == [b"%d" % n for n in range(KEPT + 2)]
        await until_waiting_in_cloud(hub, 0)


async def test_an_id_that_was_seen_is_dropped(hub: Hub, gateway: Gateway) -> None:
    for _ in range(3):
        hub.send(DEVICE_ID, b"once", "same")
    hub.send(DEVICE_ID, b"other", "another")
    await until_waiting_in_cloud(hub, 0)
    assert gateway.core.inbox.bodies() == [b"once", b"other"]


async def test_one_too_large_does_not_block_the_line(hub: Hub, gateway: Gateway) -> None:
    hub.send(DEVICE_ID, b"x" * (MESSAGE_BYTES + 1), "large")
    hub.send(DEVICE_ID, b"y" * MESSAGE_BYTES, "fits")
    await until_waiting_in_cloud(hub, 0)
    assert gateway.core.inbox.bodies() == [b"y" * MESSAGE_BYTES]


async def test_clearing_makes_room(hub: Hub, gateway: Gateway) -> None:
    for number in range(KEPT + 1):
        hub.send(DEVICE_ID, b"%d" % number)
    await until_waiting_in_cloud(hub, 1)
    assert gateway.app.userMessageClearAll() == 0
    await until_waiting_in_cloud(hub, 0)
    assert gateway.core.inbox.bodies() == [b"%d" % KEPT]


def test_the_message_id_is_decoded() -> None:
    topic = "devices/d/messages/devicebound/%24.to=%2Fdevices%2Fd&%24.mid=a%20%26b&x=y"
    assert message_id(topic) == "a &b"
    assert message_id("devices/d/messages/devicebound/") == ""
