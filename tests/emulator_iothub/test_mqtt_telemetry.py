"""Telemetry over MQTT with a real client: what a device sends is what the stream gets."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from emulator.iothub.mqtt_packets import Disconnect, PubAck, Publish, Will
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


async def test_a_message_arrives_as_it_was_sent(running: Running, paho_device: Make) -> None:
    await running.create("gateway")
    device = paho_device()
    assert await device.connect() == (False, 0)
    body = bytes(range(256))
    await device.publish(
        "devices/gateway/messages/events/$.mid=17&$.ctime=2026-01-31T12%3A00%3A00Z&$.cid=c"
        "&$.ct=application%2Foctet-stream&$.ce=utf-8&type=data&note=a%20b%26c&empty=&none",
        body,
    )
    (event,) = running.telemetry()
    assert event.body == body
    assert event.partition_key == "gateway"
    assert event.message_id == "17"
    assert event.correlation_id == "c"
    assert event.content_type == "application/octet-stream"
    assert event.content_encoding == "utf-8"
    assert event.application_properties == {
        "type": "data",
        "note": "a b&c",
        "empty": "",
        "none": "",
    }
    identity = running.hub.registry.get("gateway")
    assert event.annotations["iothub-connection-device-id"] == "gateway"
    assert event.annotations["iothub-connection-auth-generation-id"] == identity.generation_id
    assert event.annotations["iothub-creation-time-utc"] == "2026-01-31T12:00:00Z"
    assert json.loads(event.annotations["iothub-connection-auth-method"])["scope"] == "device"
    enqueued = event.annotations["iothub-enqueuedtime"]
    assert abs(datetime.now(UTC) - enqueued) < timedelta(minutes=1)


async def test_a_device_cannot_forge_annotations(running: Running, paho_device: Make) -> None:
    await running.create("gateway")
    device = paho_device()
    await device.connect()
    await device.publish(
        "devices/gateway/messages/events/iothub-connection-device-id=other"
        "&iothub-message-source=deviceLifecycleEvents&%24.mid=5"
    )
    (event,) = running.telemetry()
    assert event.annotations["iothub-connection-device-id"] == "gateway"
    assert event.annotations["iothub-message-source"] == "Telemetry"
    assert event.application_properties["iothub-connection-device-id"] == "other"
    assert event.message_id == "5"


async def test_puback_follows_durability_and_keeps_the_order(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    assert (await client.connect()).code == 0
    committed: list[int] = []
    commit = running.store.commit

    def spy() -> None:
        committed.append(len(running.telemetry()))
        commit()

    running.store.commit = spy  # type: ignore[method-assign]
    for packet_id in (7, 3, 9, 1):
        await client.write(Publish("devices/gateway/messages/events/", b"x", 1, packet_id))
    answers = [await client.read() for _ in range(4)]
    assert answers == [PubAck(7), PubAck(3), PubAck(9), PubAck(1)]
    assert committed[-1] == 4


async def test_retain_and_will(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    will = Will("devices/gateway/messages/events/reason=lost", b"gone", 1, False)
    await client.connect(will=will)
    await client.write(Publish("devices/gateway/messages/events/", b"kept", retain=True))
    await until(running.telemetry)
    assert running.telemetry()[0].application_properties == {"mqtt-retain": "true"}
    client.close()
    await until(lambda: len(running.telemetry()) == 2)
    last = running.telemetry()[1]
    assert last.body == b"gone"
    assert last.application_properties == {"reason": "lost", "iothub-MessageType": "Will"}


async def test_no_will_after_disconnect(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await raw()
    await client.connect(will=Will("devices/gateway/messages/events/", b"gone", 0, False))
    await client.write(Disconnect())
    assert await client.read() is None
    await until(lambda: running.hub.connections.get("gateway") is None)
    assert running.telemetry() == []


async def test_connection_events(running: Running, paho_device: Make) -> None:
    await running.create("gateway")
    device = paho_device()
    await device.connect()
    assert running.operations("deviceConnectionStateEvents") == []
    assert running.hub.registry.get("gateway").connection_state == "Connected"
    await device.publish("devices/gateway/messages/events/")
    assert running.operations("deviceConnectionStateEvents") == ["deviceConnected"]
    identity = (await running.http.get(f"/devices/gateway{API}")).json()
    assert identity["connectionState"] == "Connected"
    assert identity["lastActivityTime"] > identity["connectionStateUpdatedTime"]
    await device.disconnect()
    await until(lambda: len(running.operations("deviceConnectionStateEvents")) == 2)
    first, second = [e for e in running.events if e.source == "deviceConnectionStateEvents"]
    assert second.operation == "deviceDisconnected"
    assert second.application_properties["deviceId"] == "gateway"
    assert second.application_properties["hubName"] == "localhost"
    schema = second.application_properties["iothub-message-schema"]
    assert schema == "deviceConnectionStateNotification"
    assert json.loads(first.body)["sequenceNumber"] < json.loads(second.body)["sequenceNumber"]
    assert running.hub.registry.get("gateway").connection_state == "Disconnected"


async def test_connection_events_as_snapshots(tmp_path: Path) -> None:
    async with running_hub(tmp_path, connection_state_interval=600) as running:
        await running.create("gateway")
        for _ in range(3):
            device = PahoDevice(running.mqtt_port, "gateway")
            await device.connect()
            await device.publish("devices/gateway/messages/events/")
            await device.disconnect()
        last = PahoDevice(running.mqtt_port, "gateway")
        await last.connect()
        await last.publish("devices/gateway/messages/events/")
        running.hub.connections._next_report = 0.0
        await until(lambda: running.operations("deviceConnectionStateEvents"))
        assert running.operations("deviceConnectionStateEvents") == ["deviceConnected"]
        await last.disconnect()


async def test_a_second_connection_drops_the_first(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    first = await raw()
    second = await raw()
    await first.connect()
    await first.write(Publish("devices/gateway/messages/events/", b"", 1, 1))
    assert await first.read() == PubAck(1)
    await second.connect()
    assert await first.read() is None
    await second.write(Publish("devices/gateway/messages/events/", b"", 1, 1))
    assert await second.read() == PubAck(1)
    assert running.operations("deviceConnectionStateEvents") == ["deviceConnected"]
    assert running.hub.registry.get("gateway").connection_state == "Connected"
