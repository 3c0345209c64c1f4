"""What IoT Hub refuses over MQTT, it refuses here: bad tokens, topics, packets, sizes."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.iothub import mqtt_connection
from emulator.iothub.mqtt_codec import encode
from emulator.iothub.mqtt_packets import (
    Connect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Will,
)
from tests.emulator_iothub.iothub_harness import (
    API,
    DEVICE_KEY,
    HOST,
    HUB_KEY,
    SECOND_KEY,
    RawClient,
    Running,
    device_sas,
    service_sas,
    until,
)
from tests.sas import sign

Raw = Callable[[], Awaitable[RawClient]]
EVENTS = "devices/gateway/messages/events/"


@pytest.mark.parametrize(
    "token",
    [
        device_sas("gateway", key=SECOND_KEY),
        sign(HOST, HUB_KEY, rule="iothubowner"),
        sign(f"{HOST}/devices/gateway/api-version=2016-11-14", b"primary " * 4),
    ],
    ids=["secondary key", "the hub's policy", "a part of the device"],
)
async def test_tokens_that_connect(running: Running, raw: Raw, token: str) -> None:
    await running.create("gateway")
    client = await raw()
    assert (await client.connect(password=token.encode())).code == 0


@pytest.mark.parametrize(
    "token",
    [
        device_sas("gateway", ttl=-1),
        device_sas("other"),
        device_sas("gateway", key=DEVICE_KEY[:-4] + "AAA="),
        sign(HOST, b"primary " * 4),
        sign(HOST, HUB_KEY, rule="service"),
        sign(HOST, b"wrong", rule="iothubowner"),
        "SharedAccessSignature sr=a&sig=%%%&se=x",
        "nonsense",
        "",
        "\N{SNOWMAN}" * 2000,
    ],
    ids=[
        "expired",
        "another device",
        "wrong key",
        "the whole hub by a device's key",
        "unknown policy",
        "policy with a wrong key",
        "malformed",
        "no token",
        "empty",
        "long",
    ],
)
async def test_tokens_that_do_not(running: Running, raw: Raw, token: str) -> None:
    await running.create("gateway")
    client = await raw()
    assert (await client.connect(password=token.encode())).code == 5
    assert await client.read() is None
    assert running.operations("deviceConnectionStateEvents") == []


async def test_token_that_is_not_utf8(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    assert (await (await raw()).connect(password=b"\xff\xfe")).code == 5


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"client_id": "other"}, 2),
        ({"client_id": ""}, 2),
        ({"username": "gateway"}, 4),
        ({"username": None, "password": None}, 4),
        ({"username": "elsewhere/gateway/?api-version=2021-04-12"}, 4),
        ({"username": f"{HOST}/gateway/module/?api-version=2021-04-12"}, 4),
        ({"protocol_level": 5}, 1),
        ({"protocol_name": "MQIsdp", "protocol_level": 3}, 1),
    ],
)
async def test_connect_is_refused(
    running: Running, raw: Raw, fields: dict[str, Any], code: int
) -> None:
    await running.create("gateway")
    client = await raw()
    assert (await client.connect(**fields)).code == code
    assert await client.read() is None


async def test_unknown_and_disabled_devices(running: Running, raw: Raw) -> None:
    assert (await (await raw()).connect("stranger")).code == 5
    await running.create("gateway")
    connected = await raw()
    await connected.connect()
    response = await running.http.put(
        f"/devices/gateway{API}", json={"status": "disabled"}, headers={"If-Match": "*"}
    )
    assert response.json()["status"] == "disabled"
    assert await connected.read() is None
    assert (await (await raw()).connect()).code == 5


async def test_deleting_a_device_ends_its_connection(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    await client.connect()
    await running.http.delete(f"/devices/gateway{API}", headers={"If-Match": "*"})
    assert await client.read() is None


async def test_the_token_expires(
    running: Running, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.create("gateway")
    client = await raw()
    expiry = time.time() + 3600  # less up to a second: a token counts in whole ones
    clock = SimpleNamespace(time=lambda: expiry - 1.1)  # which stands still
    monkeypatch.setattr(mqtt_connection, "time", clock)
    await client.connect(password=device_sas("gateway", ttl=expiry - time.time()).encode())
    await client.write(PingReq())
    assert await client.read() == PingResp()
    clock.time = lambda: expiry
    assert await client.read() is None


async def test_keep_alive(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    will = Will(EVENTS, b"silent", 0, False)
    await client.connect(keep_alive=1, will=will)
    await asyncio.sleep(0.3)
    heard = time.monotonic()
    await client.write(PingReq())
    assert await client.read() == PingResp()
    assert await client.read() is None
    assert time.monotonic() - heard >= 1.5  # not since it connected
    await until(running.telemetry)


PUBLISH = Publish(EVENTS, b"x", 1, 1)


@pytest.mark.parametrize(
    "packet",
    [
        Publish("devices/other/messages/events/", b"x", 1, 1),
        Publish("devices/gateway/messages/eventsx", b"x", 1, 1),
        Publish("devices/gateway/messages/devicebound/", b"x", 1, 1),
        Publish("anything", b"x", 1, 1),
        Publish(EVENTS, b"x", 2, 1),
        Publish(EVENTS + "name=%ff", b"x", 1, 1),
        Publish(EVENTS + "$.mid=" + "1" * 129, b"x", 1, 1),
        Publish(EVENTS + "$.ct=%C3%A4", b"x", 1, 1),
        Publish(EVENTS, bytes(256 * 1024 + 1), 1, 1),
        Publish("$iothub/twin/GET/", b""),
        Publish("$iothub/twin/GET/?$rid=", b""),
        Publish("$iothub/methods/res/ok/?$rid=1", b""),
        Connect("gateway", True, 60),
        SubAck(1, (0,)),
        PingResp(),
        b"\x30\x04\x00\x02\xff\xfe",
        b"\x30\xff\xff\xff\x7f",
        b"\x50\x02\x00\x01",
        b"\xf0\x00",
        b"\x00\x00",
    ],
)
async def test_packets_that_close(running: Running, raw: Raw, packet: Packet | bytes) -> None:
    await running.create("gateway")
    client = await raw()
    assert (await client.connect()).code == 0
    await client.write(packet)
    assert await client.read() is None
    assert running.telemetry() == []


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02", b"\xe0\x00"])
async def test_what_is_no_mqtt_closes(running: Running, raw: Raw, data: bytes) -> None:
    client = await raw()
    await client.write(data)
    assert await client.read() is None


async def test_wills_that_close(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    for will in (
        Will("devices/other/messages/events/", b"", 0, False),
        Will(EVENTS, b"", 2, False),
    ):
        client = await raw()
        await client.write(
            Connect("gateway", True, 60, f"{HOST}/gateway/", service_sas().encode(), will)
        )
        assert await client.read() is None


async def test_the_largest_message_passes(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    await client.connect()
    await client.write(Publish(EVENTS, b"\xff" * 256 * 1024, 1, 1))
    assert await client.read() == PubAck(1)
    assert running.telemetry()[0].body == b"\xff" * 256 * 1024


async def test_subscriptions(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    await client.connect()
    wanted = (
        ("devices/gateway/messages/devicebound/#", 2),
        ("$iothub/twin/res/#", 0),
        ("$iothub/methods/POST/#", 1),
        ("devices/other/messages/devicebound/#", 1),
        ("#", 1),
        ("$iothub/#", 0),
        (EVENTS + "#", 0),
    )
    await client.write(Subscribe(9, wanted))
    assert await client.read() == SubAck(9, (1, 0, 1, 0x80, 0x80, 0x80, 0x80))
    await client.write(Unsubscribe(10, ("$iothub/twin/res/#", "unknown")))
    assert await client.read() == UnsubAck(10)
    await client.write(Publish("$iothub/twin/GET/?$rid=1", b""))
    await client.write(PingReq())
    assert await client.read() == PingResp()


async def test_garbage_on_many_connections_disturbs_nobody(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    await running.create("bystander")
    bystander = await raw()
    await bystander.connect("bystander")
    chance = random.Random(7)  # the same garbage each time
    valid = encode(PUBLISH) + encode(Subscribe(1, (("$iothub/twin/res/#", 0),)))
    for _ in range(100):
        client = await raw()
        await client.connect()
        garbage = bytearray(valid * 3)
        for _ in range(4):
            garbage[chance.randrange(len(garbage))] = chance.randrange(256)
        await client.write(bytes(garbage) + chance.randbytes(40))
        client.close()
    await bystander.write(Publish("devices/bystander/messages/events/", b"well", 1, 5))
    assert await bystander.read() == PubAck(5)
    assert b"well" in [event.body for event in running.telemetry()]
