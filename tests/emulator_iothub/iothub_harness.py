"""A local IoT Hub on free ports, and the clients that test it."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import httpx
import paho.mqtt.client as paho
import pytest
from aiohttp import web
from paho.mqtt.enums import CallbackAPIVersion

from emulator.iothub import IotHub, add_routes
from emulator.iothub.mqtt_codec import PacketReader, encode
from emulator.iothub.mqtt_packets import ConnAck, Connect, Packet
from emulator.store import Store
from tests.sas import sign

HOST = "localhost"
HUB_KEY = b"hub key " * 4
DEVICE_KEY = base64.b64encode(b"primary " * 4).decode()
SECOND_KEY = base64.b64encode(b"second  " * 4).decode()
API = "?api-version=2021-04-12"


def device_sas(device_id: str, *, key: str = DEVICE_KEY, ttl: float = 3600) -> str:
    return sign(f"{HOST}/devices/{device_id}", base64.b64decode(key), ttl=ttl)


def service_sas() -> str:
    return sign(HOST, HUB_KEY, rule="iothubowner")


@dataclass
class Event:
    """One event as the hub appended it to the stream."""

    partition_key: str
    body: bytes
    annotations: Mapping[str, Any]
    application_properties: Mapping[str, Any]
    message_id: str | None = None
    correlation_id: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None

    @property
    def source(self) -> str:
        return str(self.annotations["iothub-message-source"])

    @property
    def operation(self) -> str:
        return str(self.application_properties.get("opType"))


@dataclass
class Running:
    """A hub that listens."""

    hub: IotHub
    store: Store
    mqtt_port: int
    http: httpx.AsyncClient
    events: list[Event] = field(default_factory=list)

    def telemetry(self) -> list[Event]:
        return [event for event in self.events if event.source == "Telemetry"]

    def operations(self, source: str) -> list[str]:
        return [event.operation for event in self.events if event.source == source]

    async def create(self, device_id: str) -> None:
        response = await self.http.put(
            f"/devices/{device_id}{API}",
            json={
                "deviceId": device_id,
                "authentication": {
                    "type": "sas",
                    "symmetricKey": {"primaryKey": DEVICE_KEY, "secondaryKey": SECOND_KEY},
                },
            },
        )
        assert response.status_code == 200, response.text


@asynccontextmanager
async def running_hub(path: Path, **options: Any) -> AsyncIterator[Running]:
    store = Store(path / "azure.sqlite")
    events: list[Event] = []

    def append(**event: Any) -> int:
        events.append(Event(**event))
        return len(events)

    hub = IotHub(store, HOST, HUB_KEY, append, **options)
    mqtt = await asyncio.get_running_loop().create_server(hub.mqtt_protocol, "127.0.0.1", 0)
    app = web.Application()
    add_routes(app, hub)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    http_port = runner.addresses[0][1]
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{http_port}",
            headers={"Authorization": service_sas()},
            timeout=30,
            verify=False,  # plain HTTP; loading the authorities would cost more than a test
        ) as http:
            yield Running(hub, store, mqtt.sockets[0].getsockname()[1], http, events)
    finally:
        mqtt.close()
        await hub.close()
        await runner.cleanup()
        store.close()


async def until(condition: Callable[[], object], seconds: float = 30) -> None:
    """Wait until a condition holds; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        await asyncio.sleep(0.01)


class PahoDevice:
    """A device with a real MQTT client (paho), driven from a test's event loop."""

    def __init__(self, port: int, device_id: str, *, clean: bool = True) -> None:
        self.messages: Queue[paho.MQTTMessage] = Queue()
        self._codes: Queue[tuple[str, Any]] = Queue()
        self.device_id = device_id
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=device_id, clean_session=clean
        )
        self.client.username_pw_set(
            f"{HOST}/{device_id}/?api-version=2021-04-12", device_sas(device_id)
        )
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_connect = lambda _c, _u, flags, code, _p: self._codes.put(
            ("connected", (flags.session_present, code.value))
        )
        self.client.on_subscribe = lambda _c, _u, _m, codes, _p: self._codes.put(
            ("subscribed", [code.value for code in codes])
        )
        self.client.on_disconnect = lambda _c, _u, _f, code, _p: self._codes.put(
            ("disconnected", code.value)
        )
        self._port = port

    async def connect(self) -> tuple[bool, int]:
        """Session present and return code."""
        await asyncio.to_thread(self.client.connect, "127.0.0.1", self._port, 60)
        self.client.loop_start()
        present, code = await self._code("connected")
        return present, code

    async def subscribe(self, topic: str, qos: int = 1) -> list[int]:
        self.client.subscribe(topic, qos)
        return list(await self._code("subscribed"))

    async def publish(self, topic: str, payload: bytes = b"", *, retain: bool = False) -> None:
        """Publish with QoS 1 and wait for PUBACK."""
        info = self.client.publish(topic, payload, qos=1, retain=retain)
        await asyncio.to_thread(info.wait_for_publish, 30)
        assert info.is_published()

    async def message(self, seconds: float = 30) -> paho.MQTTMessage:
        try:
            return await asyncio.to_thread(self.messages.get, True, seconds)
        except Empty:
            pytest.fail("no message came")

    async def disconnect(self) -> None:
        self.client.disconnect()
        await asyncio.to_thread(self.client.loop_stop)

    async def _code(self, kind: str) -> Any:
        while True:
            found, value = await asyncio.to_thread(self._codes.get, True, 30)
            if found == kind:
                return value


class RawClient:
    """Writes any bytes to the MQTT port and reads packets: for what no client would send."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._packets = PacketReader(1_000_000)
        self._waiting: list[Packet] = []

    @classmethod
    async def open(cls, port: int) -> "RawClient":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def write(self, data: bytes | Packet) -> None:
        self._writer.write(data if isinstance(data, bytes) else encode(data))
        await self._writer.drain()

    async def read(self) -> Packet | None:
        """The next packet; None where the server closed the connection."""
        async with asyncio.timeout(30):
            while not self._waiting:
                try:
                    data = await self._reader.read(65536)
                except ConnectionResetError:
                    return None
                if not data:
                    return None
                self._waiting += self._packets.feed(data)
        return self._waiting.pop(0)

    async def connect(self, device_id: str = "gateway", **fields: Any) -> ConnAck:
        described: dict[str, Any] = {
            "client_id": device_id,
            "clean_session": True,
            "keep_alive": 60,
            "username": f"{HOST}/{device_id}/?api-version=2021-04-12",
            "password": device_sas(device_id).encode(),
        } | fields
        await self.write(Connect(**described))
        answer = await self.read()
        assert isinstance(answer, ConnAck)
        return answer

    def close(self) -> None:
        self._writer.close()
