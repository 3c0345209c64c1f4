"""A gateway as orders see one: it reads the desired property and reports what a test wants."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import paho.mqtt.client as mqtt

from tests.device_client import device_client

SECONDS = 60
_DESIRED = "$iothub/twin/PATCH/properties/desired/"


@dataclass
class OrderedGateway:
    """`orders`: the values of `ota_app` and `ota_firmware` as they came, (property, value)."""

    client: mqtt.Client
    orders: "asyncio.Queue[tuple[str, Any]]" = field(default_factory=asyncio.Queue)

    async def order(self, name: str = "ota_app") -> Any:
        """The next value of a property; what comes of the other one is dropped."""
        async with asyncio.timeout(SECONDS):
            while True:
                came, value = await self.orders.get()
                if came == name:
                    return value

    def report(self, **properties: Any) -> None:
        topic = "$iothub/twin/PATCH/properties/reported/?$rid=1"
        self.client.publish(topic, json.dumps(properties)).wait_for_publish(SECONDS)

    def says(
        self, job: str, state: str, percent: int = 0, error: str = "", *, kind: str = "app"
    ) -> None:
        told = {"job": job, "state": state, "percent": percent, "error": error}
        self.report(**{f"ota_{kind}": told})


@asynccontextmanager
async def connected(connection_string: str, host: str, port: int) -> AsyncIterator[OrderedGateway]:
    """A connected gateway, which was told the orders that its twin had."""
    _, client = device_client(connection_string)
    gateway = OrderedGateway(client)
    loop = asyncio.get_running_loop()
    asked = threading.Event()

    def on_connect(one: mqtt.Client, *_: object) -> None:
        one.subscribe([(f"{_DESIRED}#", 0), ("$iothub/twin/res/#", 0)])

    def on_message(one: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        body = json.loads(message.payload or b"{}")
        if message.topic.startswith("$iothub/twin/res/200"):
            body = body["desired"]
        for name in ("ota_app", "ota_firmware"):
            if name in body:
                loop.call_soon_threadsafe(gateway.orders.put_nowait, (name, body[name]))
        if message.topic.startswith("$iothub/twin/res/200"):
            asked.set()

    client.on_connect = on_connect
    client.on_message = on_message
    client.on_subscribe = lambda one, *_: one.publish("$iothub/twin/GET/?$rid=0")
    await asyncio.to_thread(client.connect, host, port)
    client.loop_start()
    try:
        assert await asyncio.to_thread(asked.wait, SECONDS)
        yield gateway
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
