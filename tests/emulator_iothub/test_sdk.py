"""The hub as the official SDKs see it: azure-iot-hub, azure-eventhub, over TLS and AMQP."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import uamqp
from aiohttp import web
from azure.core.credentials import AccessToken
from azure.eventhub.aio import EventHubConsumerClient
from azure.iot.hub import IoTHubRegistryManager
from azure.iot.hub.models import (
    CloudToDeviceMethod,
    ExportImportDevice,
    QuerySpecification,
    Twin,
    TwinProperties,
)
from msrest.exceptions import HttpOperationError

from emulator.amqp.server import AmqpServer
from emulator.certificates import CA_FILE, server_context
from emulator.eventhubs.service import EventHubs
from emulator.iothub import IotHub, add_routes
from emulator.store import Store
from tests.emulator_iothub.iothub_harness import (
    DEVICE_KEY,
    HOST,
    HUB_KEY,
    SECOND_KEY,
    PahoDevice,
    service_sas,
    until,
)

STREAM = "stream"
STREAM_KEY = b"stream key"


@dataclass
class Cloud:
    """An IoT Hub and its stream behind their real protocols."""

    hub: IotHub
    ca_file: Path
    https_port: int
    amqp_port: int
    amqps_port: int
    mqtt_port: int
    mqtts_port: int

    def connection_string(self, key: bytes = HUB_KEY) -> str:
        encoded = base64.b64encode(key).decode()
        return (
            f"HostName={HOST}:{self.https_port};SharedAccessKeyName=iothubowner;"
            f"SharedAccessKey={encoded}"
        )

    def manager(self, key: bytes = HUB_KEY) -> Any:
        manager = IoTHubRegistryManager.from_connection_string(self.connection_string(key))
        # uamqp knows neither another port nor another authority unless it is told so.
        auth = manager.amqp_svc_client.amqp_client._auth
        auth.cert_file = str(self.ca_file)
        auth.set_io(HOST.encode(), self.amqps_port, None, uamqp.TransportType.Amqp)
        return manager

    def stream_connection_string(self) -> str:
        return (
            f"Endpoint=sb://{HOST}:{self.amqp_port};SharedAccessKeyName=root;"
            f"SharedAccessKey={STREAM_KEY.decode()};UseDevelopmentEmulator=true;EntityPath={STREAM}"
        )


@pytest.fixture(scope="module")
async def cloud(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Cloud]:
    state: Path = tmp_path_factory.mktemp("cloud")
    tls = server_context(state, [HOST, "127.0.0.1"])
    store = Store(state / "azure.db")
    streams = EventHubs(store, {STREAM: 2}, {"root": STREAM_KEY}.get)
    hub = IotHub(store, HOST, HUB_KEY, partial(streams.append, STREAM))
    amqp = AmqpServer(store, (hub, streams))
    mqtt = await asyncio.get_running_loop().create_server(hub.mqtt_protocol, "127.0.0.1", 0)
    mqtts = await asyncio.get_running_loop().create_server(
        hub.mqtt_protocol, "127.0.0.1", 0, ssl=tls
    )
    app = web.Application()
    add_routes(app, hub)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(state / CA_FILE))
        yield Cloud(
            hub,
            state / CA_FILE,
            runner.addresses[0][1],
            await amqp.listen("127.0.0.1", 0),
            await amqp.listen("127.0.0.1", 0, tls),
            mqtt.sockets[0].getsockname()[1],
            mqtts.sockets[0].getsockname()[1],
        )
    mqtt.close()
    mqtts.close()
    await hub.close()
    await runner.cleanup()
    await amqp.stop()
    store.close()


@pytest.fixture
async def manager(cloud: Cloud) -> AsyncIterator[Any]:
    manager = cloud.manager()
    yield manager
    await asyncio.to_thread(manager.amqp_svc_client.disconnect_sync)


async def sdk(call: Callable[..., Any], *arguments: Any) -> Any:
    """The SDK is synchronous."""
    return await asyncio.to_thread(call, *arguments)


async def create(manager: Any, device_id: str) -> Any:
    return await sdk(manager.create_device_with_sas, device_id, DEVICE_KEY, SECOND_KEY, "enabled")


async def test_registry(manager: Any) -> None:
    created = await create(manager, "registered")
    assert created.authentication.symmetric_key.primary_key == DEVICE_KEY
    assert (await sdk(manager.get_device, "registered")).etag == created.etag
    with pytest.raises(HttpOperationError, match="Conflict"):
        await create(manager, "registered")
    updated = await sdk(
        manager.update_device_with_sas,
        "registered",
        created.etag,
        DEVICE_KEY,
        SECOND_KEY,
        "disabled",
    )
    assert updated.status == "disabled"
    entries = [ExportImportDevice(id=f"bulk{n}", import_mode="create") for n in range(3)]
    assert (await sdk(manager.bulk_create_or_update_devices, entries)).is_successful
    devices = await sdk(manager.get_devices, 100)
    assert {"registered", "bulk0", "bulk1", "bulk2"} <= {d.device_id for d in devices}
    statistics = await sdk(manager.get_device_registry_statistics)
    assert statistics.disabled_device_count == 1
    assert (await sdk(manager.get_service_statistics)).connected_device_count >= 0
    await sdk(manager.delete_device, "registered")
    with pytest.raises(HttpOperationError):
        await sdk(manager.get_device, "registered")


async def test_a_wrong_key_opens_nothing(cloud: Cloud) -> None:
    stranger = cloud.manager(b"another key")
    with pytest.raises(HttpOperationError) as refused:
        await sdk(stranger.get_devices)
    assert refused.value.response.status_code == 401


async def test_twins_and_queries(manager: Any) -> None:
    await create(manager, "twinned")
    await create(manager, "unlike")
    change = Twin(tags={"group": "a"}, properties=TwinProperties(desired={"rate": 5}))
    twin = await sdk(manager.update_twin, "twinned", change)
    assert twin.properties.desired["rate"] == 5
    assert twin.tags == {"group": "a"}
    replaced = await sdk(manager.replace_twin, "twinned", Twin(tags={"group": "b"}), twin.etag)
    assert replaced.properties.desired["rate"] == 5
    with pytest.raises(HttpOperationError) as stale:
        await sdk(manager.update_twin, "twinned", change, twin.etag)
    assert stale.value.response.status_code == 412
    query = QuerySpecification(query="SELECT * FROM devices WHERE tags.group = 'b'")
    result = await sdk(manager.query_iot_hub, query)
    assert [found.device_id for found in result.items] == ["twinned"]
    everything = QuerySpecification(query="SELECT * FROM devices")
    page = await sdk(manager.query_iot_hub, everything, None, "1")
    assert len(page.items) == 1
    assert page.continuation_token
    following = await sdk(manager.query_iot_hub, everything, page.continuation_token, "1")
    assert following.items[0].device_id > page.items[0].device_id


async def test_methods(cloud: Cloud, manager: Any) -> None:
    await create(manager, "called")
    call = CloudToDeviceMethod(method_name="reboot", payload={"in": 5})
    with pytest.raises(HttpOperationError) as offline:
        await sdk(manager.invoke_device_method, "called", call)
    assert offline.value.response.status_code == 404
    assert json.loads(offline.value.response.json()["Message"])["errorCode"] == 404103
    device = PahoDevice(cloud.mqtt_port, "called")
    await device.connect()
    await device.subscribe("$iothub/methods/POST/#", 0)
    answer = asyncio.create_task(sdk(manager.invoke_device_method, "called", call))
    request = await device.message()
    rid = request.topic.partition("$rid=")[2]
    device.client.publish(f"$iothub/methods/res/200/?$rid={rid}", request.payload)
    result = await answer
    assert (result.status, result.payload) == (200, {"in": 5})
    await device.disconnect()


async def test_mqtt_over_tls(cloud: Cloud, manager: Any) -> None:
    await create(manager, "secure")
    device = PahoDevice(cloud.mqtts_port, "secure")
    device.client.tls_set(ca_certs=str(cloud.ca_file))
    assert await device.connect() == (False, 0)
    await device.publish("devices/secure/messages/events/", bytes(200_000))
    assert (await sdk(manager.get_device, "secure")).connection_state == "Connected"
    await device.disconnect()
    await until(lambda: cloud.hub.connections.get("secure") is None)


async def test_cloud_to_device_and_feedback(cloud: Cloud, manager: Any) -> None:
    await create(manager, "commanded")
    properties = {
        "messageId": "m1",
        "contentType": "application/json",
        "expiryTimeUtc": int(time.time() * 1000) + 60_000,
        "iothub-ack": "full",
        "count": 7,
    }
    await sdk(manager.send_c2d_message, "commanded", '{"led": 1}', properties)
    assert (await sdk(manager.get_device, "commanded")).cloud_to_device_message_count == 1
    device = PahoDevice(cloud.mqtt_port, "commanded")
    await device.connect()
    await device.subscribe("devices/commanded/messages/devicebound/#")
    message = await device.message()
    assert message.payload == b'{"led": 1}'
    for part in ("%24.mid=m1", "%24.ct=application%2Fjson", "%24.exp=20", "count=7"):
        assert part in message.topic
    await until(lambda: cloud.hub.c2d.waiting("commanded") == 0)
    raw = await sdk(
        manager.protocol.cloud_to_device_messages.receive_feedback_notification, None, True
    )
    (record,) = raw.response.json()
    assert (record["originalMessageId"], record["statusCode"]) == ("m1", "Success")
    token = raw.response.headers["ETag"].strip('"')
    await sdk(manager.protocol.cloud_to_device_messages.complete_feedback_notification, token)
    await device.disconnect()


async def test_a_full_queue_and_an_unknown_device_refuse(cloud: Cloud, manager: Any) -> None:
    await create(manager, "crowded")
    for _ in range(50):
        await sdk(manager.send_c2d_message, "crowded", "x")
    with pytest.raises(Exception, match="C2D message send failure"):
        await sdk(manager.send_c2d_message, "crowded", "x")
    assert cloud.hub.c2d.waiting("crowded") == 50
    with pytest.raises(Exception, match="C2D message send failure"):
        await sdk(manager.send_c2d_message, "nobody", "x")
    purged = await sdk(
        manager.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue, "crowded"
    )
    assert purged.total_messages_purged == 50


async def test_feedback_over_amqp(cloud: Cloud, manager: Any) -> None:
    await create(manager, "answering")
    await sdk(manager.send_c2d_message, "answering", "x", {"messageId": "m2", "iothub-ack": "full"})
    purge = manager.protocol.cloud_to_device_messages.purge_cloud_to_device_message_queue
    await sdk(purge, "answering")

    def receive() -> tuple[bytes, str]:
        auth = uamqp.authentication.JWTTokenAuth(
            audience=f"https://{HOST}",
            uri=f"https://{HOST}",
            get_token=lambda: AccessToken(service_sas(), int(time.time()) + 60),
            token_type=b"servicebus.windows.net:sastoken",
            verify=str(cloud.ca_file),
        )
        auth.update_token()
        auth.set_io(HOST.encode(), cloud.amqps_port, None, uamqp.TransportType.Amqp)
        client = uamqp.ReceiveClient(
            f"amqps://{HOST}/messages/servicebound/feedback", auth=auth, timeout=5000
        )
        try:
            (message,) = client.receive_message_batch(max_batch_size=1, timeout=5000)
            message.accept()
            client.do_work()
            return b"".join(message.get_data()), message.properties.content_type.decode()
        finally:
            client.close()

    body, content_type = await sdk(receive)
    assert content_type == "application/vnd.microsoft.iothub.feedback.json"
    assert [record["statusCode"] for record in json.loads(body)] == ["Purged"]
    await until(lambda: cloud.hub.feedback.receive() is None)


async def test_the_stream(cloud: Cloud, manager: Any) -> None:
    await create(manager, "streaming")
    device = PahoDevice(cloud.mqtt_port, "streaming")
    await device.connect()
    topic = "devices/streaming/messages/events/$.mid=1&$.ctime=2026-01-31T12:00:00Z&type=data"
    await device.publish(topic, b"\x00\xff")
    events: list[Any] = []

    async def collect(_partition: object, event: Any) -> None:
        if event is not None and event.partition_key == b"streaming":
            events.append(event)

    consumer = EventHubConsumerClient.from_connection_string(
        cloud.stream_connection_string(), consumer_group="$Default"
    )
    async with consumer:
        receiving = asyncio.create_task(
            consumer.receive(on_event=collect, starting_position="-1", max_wait_time=1)
        )
        await until(lambda: len(events) == 3)
        receiving.cancel()
    await device.disconnect()
    by_source = {e.system_properties[b"iothub-message-source"]: e for e in events}
    assert set(by_source) == {
        b"deviceLifecycleEvents",
        b"Telemetry",
        b"deviceConnectionStateEvents",
    }
    telemetry = by_source[b"Telemetry"]
    assert b"".join(telemetry.body) == b"\x00\xff"
    assert telemetry.properties == {b"type": b"data"}
    assert telemetry.system_properties[b"iothub-connection-device-id"] == b"streaming"
    assert telemetry.system_properties[b"iothub-creation-time-utc"] == b"2026-01-31T12:00:00Z"
    assert isinstance(telemetry.system_properties[b"iothub-enqueuedtime"], int)
    assert telemetry.message_id == "1"
    connected = by_source[b"deviceConnectionStateEvents"]
    assert connected.properties[b"opType"] == b"deviceConnected"
