"""An MQTT client that speaks as a gateway does: IoT Hub's topics, QoS 1, SAS."""

import asyncio
import json
import time
from collections.abc import Mapping
from urllib.parse import quote

import paho.mqtt.client as mqtt

from tests.device_client import device_client

SECONDS = 20.0


class Gateway:
    """Publishes in the order of its calls; entered, it is connected."""

    def __init__(self, connection_string: str, port: int) -> None:
        self.connection_string = connection_string
        self.device_id, self._client = device_client(connection_string)
        self._port = port
        self._mid = 0
        self._pending: list[mqtt.MQTTMessageInfo] = []
        self._client.max_inflight_messages_set(200)

    async def __aenter__(self) -> "Gateway":
        await asyncio.to_thread(self._client.connect, "127.0.0.1", self._port, 60)
        self._client.loop_start()
        deadline = time.monotonic() + SECONDS
        while not self._client.is_connected():
            assert time.monotonic() < deadline, "the gateway cannot connect"
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    def send(self, body: bytes, *, mid: str | None = None, **properties: str) -> str:
        """Publish a message; the next decimal mid where none is given. Returns the mid."""
        if mid is None:
            self._mid += 1
            mid = str(self._mid)
        system = {"$.mid": mid} if mid else {}
        bag = "&".join(
            f"{quote(name, safe='')}={quote(value, safe='')}"
            for name, value in (system | properties).items()
        )
        topic = f"devices/{self.device_id}/messages/events/{bag}"
        self._pending.append(self._client.publish(topic, body, qos=1))
        return mid

    def report(self, properties: Mapping[str, object]) -> None:
        """Change reported properties of the twin."""
        topic = "$iothub/twin/PATCH/properties/reported/?$rid=1"
        self._pending.append(self._client.publish(topic, json.dumps(properties), qos=1))

    async def delivered(self) -> None:
        """Wait until the hub has acknowledged everything."""
        pending, self._pending = self._pending, []
        for info in pending:
            await asyncio.to_thread(info.wait_for_publish, SECONDS)
            assert info.is_published(), "the hub did not acknowledge a message"
