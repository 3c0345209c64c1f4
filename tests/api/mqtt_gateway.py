"""A gateway as the hub sees one: a paho MQTT client that keeps what it is sent."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import paho.mqtt.client as mqtt

from tests.device_client import device_client

SECONDS = 30


@dataclass
class Gateway:
    """What arrived: user messages as (properties, body), and direct methods as (name, payload)."""

    client: mqtt.Client
    messages: "asyncio.Queue[tuple[dict[str, str], bytes]]" = field(default_factory=asyncio.Queue)
    methods: "asyncio.Queue[tuple[str, Any]]" = field(default_factory=asyncio.Queue)
    reported: threading.Event = field(default_factory=threading.Event)

    async def message(self) -> tuple[dict[str, str], bytes]:
        async with asyncio.timeout(SECONDS):
            return await self.messages.get()

    async def method(self) -> tuple[str, Any]:
        async with asyncio.timeout(SECONDS):
            return await self.methods.get()

    def report(self, properties: dict[str, Any]) -> None:
        """Returns when the hub has it."""
        self.reported.clear()
        topic = "$iothub/twin/PATCH/properties/reported/?$rid=1"
        self.client.publish(topic, json.dumps(properties))
        assert self.reported.wait(SECONDS)


@asynccontextmanager
async def connected(connection_string: str, host: str, port: int) -> AsyncIterator[Gateway]:
    """A connected and subscribed gateway."""
    device_id, client = device_client(connection_string)
    gateway = Gateway(client)
    loop = asyncio.get_running_loop()
    subscribed = threading.Event()

    def on_connect(one: mqtt.Client, *_: object) -> None:
        one.subscribe(
            [
                (f"devices/{device_id}/messages/devicebound/#", 1),
                ("$iothub/methods/POST/#", 0),
                ("$iothub/twin/res/#", 0),
            ]
        )

    def on_message(one: mqtt.Client, _data: object, message: mqtt.MQTTMessage) -> None:
        if message.topic.startswith("$iothub/methods/POST/"):
            name, _, rid = message.topic.removeprefix("$iothub/methods/POST/").partition("/?$rid=")
            one.publish(f"$iothub/methods/res/200/?$rid={rid}", b"{}")
            loop.call_soon_threadsafe(
                gateway.methods.put_nowait, (name, json.loads(message.payload))
            )
            return
        if message.topic.startswith("$iothub/twin/res/204/"):
            gateway.reported.set()
            return
        tail = message.topic.rpartition("/")[2]
        properties = dict(unquote(pair).partition("=")[::2] for pair in tail.split("&"))
        loop.call_soon_threadsafe(gateway.messages.put_nowait, (properties, bytes(message.payload)))

    client.on_connect = on_connect
    client.on_message = on_message
    client.on_subscribe = lambda *_: subscribed.set()
    await asyncio.to_thread(client.connect, host, port)
    client.loop_start()
    try:
        assert await asyncio.to_thread(subscribed.wait, SECONDS)
        yield gateway
    finally:
        client.disconnect()
        await asyncio.to_thread(client.loop_stop)
