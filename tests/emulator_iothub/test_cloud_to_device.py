"""Cloud-to-device messages: queued, delivered, acknowledged, and what feedback tells."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from emulator.amqp.message import PROPERTIES, data_section, section
from emulator.amqp.types import Timestamp
from emulator.iothub import c2d
from emulator.iothub.amqp_nodes import read_message
from emulator.iothub.c2d import CloudMessage
from emulator.iothub.errors import HubError
from emulator.iothub.mqtt_packets import PingReq, PingResp, PubAck, Publish, SubAck, Subscribe
from tests.emulator_iothub.iothub_harness import (
    API,
    PahoDevice,
    RawClient,
    Running,
    running_hub,
    until,
)

Make = Callable[..., PahoDevice]
Raw = Callable[[], Awaitable[RawClient]]
DEVICEBOUND = "devices/gateway/messages/devicebound/#"
FEEDBACK = "/messages/serviceBound/feedback"


async def send(running: Running, body: bytes, *, ack: str | None = None, **fields: Any) -> None:
    if ack is not None:
        fields["properties"] = {"iothub-ack": ack}
    running.hub.send("gateway", CloudMessage(body, **fields))
    await running.store.durable()


async def listening(client: RawClient, *, clean: bool = True) -> None:
    await client.connect(clean_session=clean)
    await client.write(Subscribe(1, ((DEVICEBOUND, 1),)))
    assert await client.read() == SubAck(1, (1,))


async def delivered(client: RawClient) -> Publish:
    packet = await client.read()
    assert isinstance(packet, Publish)
    return packet


def waiting(running: Running) -> int:
    return running.hub.c2d.waiting("gateway")


async def feedback(running: Running) -> list[dict[str, Any]]:
    response = await running.http.get(FEEDBACK + API)
    if response.status_code == 204:
        return []
    assert response.headers["Content-Type"] == "application/vnd.microsoft.iothub.feedback.json"
    token = response.headers["ETag"].strip('"')
    assert (await running.http.delete(f"{FEEDBACK}/{token}{API}")).status_code == 204
    return list(response.json())


async def test_a_message_reaches_the_device(running: Running, paho_device: Make) -> None:
    await running.create("gateway")
    await send(
        running,
        b'{"led":1}',
        message_id="m1",
        content_type="application/json",
        expiry=time.time() + 60,
        properties={"a b": "c&d", "none": None, "empty": ""},
    )
    device = paho_device()
    await device.connect()
    await device.subscribe(DEVICEBOUND)
    message = await device.message()
    assert message.payload == b'{"led":1}'
    assert message.qos == 1
    bag = message.topic.removeprefix("devices/gateway/messages/devicebound/").split("&")
    assert bag[0] == "%24.mid=m1"
    assert bag[1] == "%24.to=%2Fdevices%2Fgateway%2Fmessages%2Fdevicebound"
    assert bag[2] == "%24.ct=application%2Fjson"
    assert bag[3].startswith("%24.exp=20")
    assert bag[4:] == ["a%20b=c%26d", "none", "empty="]
    await until(lambda: waiting(running) == 0)


async def test_at_most_sixteen_in_flight_in_order(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    await listening(client)
    for number in range(20):
        await send(running, b"%d" % number)
    first = [await delivered(client) for _ in range(16)]
    await client.write(PingReq())
    assert await client.read() == PingResp()
    for packet in first:
        assert packet.packet_id is not None
        await client.write(PubAck(packet.packet_id))
    rest = [await delivered(client) for _ in range(4)]
    assert [packet.payload for packet in first + rest] == [b"%d" % n for n in range(20)]
    await until(lambda: waiting(running) == 4)
    identity = (await running.http.get(f"/devices/gateway{API}")).json()
    assert identity["cloudToDeviceMessageCount"] == 4


async def test_unacknowledged_messages_come_again(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    await listening(client, clean=False)
    await send(running, b"one")
    await send(running, b"two")
    one, two = await delivered(client), await delivered(client)
    assert two.packet_id is not None
    await client.write(PubAck(two.packet_id))
    await until(lambda: waiting(running) == 1)
    client.close()

    resumed = await raw()
    assert (await resumed.connect(clean_session=False)).session_present
    again = await delivered(resumed)
    assert (again.payload, again.dup, again.packet_id) == (b"one", True, one.packet_id)
    resumed.close()

    clean = await raw()
    await listening(clean)
    anew = await delivered(clean)
    assert (anew.payload, anew.dup) == (b"one", False)


async def test_qos_0_is_completed_when_sent(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    await client.connect()
    await client.write(Subscribe(1, ((DEVICEBOUND, 0),)))
    await client.read()
    await send(running, b"x")
    assert (await delivered(client)).qos == 0
    assert waiting(running) == 0


async def test_limits(running: Running) -> None:
    with pytest.raises(HubError) as unknown:
        running.hub.send("nobody", CloudMessage(b""))
    assert unknown.value.status == 404
    await running.create("gateway")
    with pytest.raises(HubError) as large:
        running.hub.send("gateway", CloudMessage(bytes(64 * 1024)))
    assert large.value.status == 413
    with pytest.raises(HubError) as ack:
        running.hub.send("gateway", CloudMessage(b"", properties={"iothub-ack": "maybe"}))
    assert ack.value.status == 400
    with pytest.raises(HubError) as wide:  # as a topic carries it: %20 for each space
        running.hub.send("gateway", CloudMessage(b"", properties={"k": " " * 22_000}))
    assert (wide.value.status, waiting(running)) == (413, 0)
    for _ in range(50):
        await send(running, b"")
    with pytest.raises(HubError) as full:
        running.hub.send("gateway", CloudMessage(b""))
    assert (full.value.status, full.value.code) == (403, "DeviceMaximumQueueDepthExceeded")
    purged = await running.http.delete(f"/devices/gateway/commands{API}")
    assert purged.json() == {"totalMessagesPurged": 50, "deviceId": "gateway"}
    assert waiting(running) == 0
    assert (await running.http.delete(f"/devices/nobody/commands{API}")).status_code == 404


async def test_expiry_and_feedback(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    await send(running, b"", message_id="late", expiry=time.time() - 1, ack="full")
    await send(
        running,
        b"",
        message_id="quiet",
        expiry=time.time() - 1,
        ack="positive",
    )
    await until(lambda: waiting(running) == 0)
    await send(running, b"", message_id="read", ack="positive")
    await send(running, b"", message_id="unasked")
    client = await raw()
    await listening(client)
    for message_id in ("read", "unasked"):
        packet = await delivered(client)
        assert message_id in packet.topic
        await client.write(PubAck(packet.packet_id or 0))
    await until(lambda: waiting(running) == 0)
    records = await feedback(running)
    assert [(r["originalMessageId"], r["statusCode"]) for r in records] == [
        ("late", "Expired"),
        ("read", "Success"),
    ]
    assert records[0]["deviceId"] == "gateway"
    identity = running.hub.registry.get("gateway")
    assert records[0]["deviceGenerationId"] == identity.generation_id
    assert await feedback(running) == []


async def test_a_message_in_flight_does_not_expire(
    running: Running, raw: Raw, monkeypatch: pytest.MonkeyPatch
) -> None:
    await running.create("gateway")
    client = await raw()
    await listening(client)
    await send(running, b"", message_id="m", expiry=time.time() + 600, ack="full")
    packet = await delivered(client)
    await client.write(PingReq())
    await client.read()
    monkeypatch.setattr(c2d, "time", SimpleNamespace(time=lambda: time.time() + 601))
    running.hub.c2d.expire()
    assert waiting(running) == 1
    await client.write(PubAck(packet.packet_id or 0))
    await until(lambda: waiting(running) == 0)
    assert [r["statusCode"] for r in await feedback(running)] == ["Success"]


async def test_feedback_is_locked_and_given_back(running: Running) -> None:
    await running.create("gateway")
    for number in range(70):
        if number == 40:
            running.hub.c2d.purge("gateway")
        await send(running, b"", message_id=str(number), ack="negative")
    running.hub.c2d.purge("gateway")
    first = await running.http.get(FEEDBACK + API)
    assert len(first.json()) == 64
    assert {record["statusCode"] for record in first.json()} == {"Purged"}
    second = await running.http.get(FEEDBACK + API)
    assert [r["originalMessageId"] for r in second.json()] == [str(n) for n in range(64, 70)]
    assert (await running.http.get(FEEDBACK + API)).status_code == 204
    token = first.headers["ETag"].strip('"')
    path = f"{FEEDBACK}/{token}"
    assert (await running.http.post(f"{path}/abandon{API}")).status_code == 204
    assert (await running.http.delete(path + API)).status_code == 412
    assert len(await feedback(running)) == 64


async def test_a_restart_keeps_queue_session_and_feedback(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as running:
        await running.create("gateway")
        client = await RawClient.open(running.mqtt_port)
        await listening(client, clean=False)
        await send(running, b"one", message_id="1", ack="full")
        await send(running, b"two", message_id="2")
        one, two = await delivered(client), await delivered(client)
        await client.write(PubAck(one.packet_id or 0))
        await until(lambda: waiting(running) == 1)
    async with running_hub(tmp_path) as running:
        client = await RawClient.open(running.mqtt_port)
        assert (await client.connect(clean_session=False)).session_present
        again = await delivered(client)
        assert (again.payload, again.dup, again.packet_id) == (b"two", True, two.packet_id)
        records = await feedback(running)
        assert [record["originalMessageId"] for record in records] == ["1"]
        client.close()


async def purged(running: Running) -> None:
    """One message whose feedback waits."""
    await running.create("gateway")
    await send(running, b"", message_id="m", ack="full")
    running.hub.c2d.purge("gateway")
    await running.store.durable()


async def test_feedback_abandoned_ten_times_is_dropped(running: Running) -> None:
    await purged(running)
    for _ in range(10):
        batch = running.hub.feedback.receive()
        assert batch is not None
        assert running.hub.feedback.abandon(batch.lock_token)
    assert running.hub.feedback.receive() is None


async def test_a_lock_on_feedback_runs_out(running: Running) -> None:
    await purged(running)
    batch = running.hub.feedback.receive()
    assert batch is not None
    batch.locked_until = time.time() - 1
    running.hub.feedback.sweep()
    assert not running.hub.feedback.complete(batch.lock_token)
    assert len(await feedback(running)) == 1


async def test_feedback_is_kept_for_an_hour(running: Running) -> None:
    await purged(running)
    running.store.write("UPDATE iothub_feedback SET enqueued = enqueued - 3590")
    running.hub.feedback.sweep()
    running.store.write("UPDATE iothub_feedback SET enqueued = enqueued - 20")
    assert running.store.read("SELECT COUNT(*) FROM iothub_feedback").fetchone() == (1,)
    running.hub.feedback.sweep()
    assert running.store.read("SELECT COUNT(*) FROM iothub_feedback").fetchone() == (0,)


@pytest.mark.parametrize("time", [Timestamp(2**62), Timestamp(-1), "tomorrow"])
def test_an_expiry_that_is_no_time_is_refused(time: object) -> None:
    properties = [None, None, "/devices/gateway/messages/devicebound", *[None] * 5]
    encoded = section(PROPERTIES, [*properties, time]) + data_section(b"x")
    with pytest.raises(HubError, match="absolute-expiry-time"):
        read_message(encoded)


async def test_feedback_is_told_once_it_is_durable(running: Running) -> None:
    await running.create("gateway")
    running.hub.send("gateway", CloudMessage(b"", properties={"iothub-ack": "full"}))
    running.hub.c2d.purge("gateway")
    assert running.hub.feedback.receive() is None
    running.store.commit()
    assert running.hub.feedback.receive() is not None
