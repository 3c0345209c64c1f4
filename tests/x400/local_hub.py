"""The project's IoT Hub emulator on a port of its own, which can be stopped and started."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.iothub.c2d import CloudMessage
from emulator.iothub.hub import IotHub
from emulator.iothub.identity import IdentityRequest
from emulator.iothub.methods import MethodAnswer, MethodCall
from emulator.iothub.twins import TwinRequest
from emulator.store import Store

HUB_KEY = b"hub"


@dataclass(frozen=True)
class Event:
    """A telemetry event as it stands in the stream."""

    device_id: str
    mid: int
    body: bytes
    properties: Mapping[str, object]
    annotations: Mapping[str, object]
    content_type: str | None


class Hub:
    """Records what IoT Hub writes to the stream. `stop` and `start` keep the port."""

    def __init__(self, directory: Path, tls: ssl.SSLContext | None = None) -> None:
        self.telemetry: list[Event] = []
        self.reports: list[dict[str, Any]] = []  # patches of reported properties, as they came
        self.port = 0
        self._tls = tls
        self._directory = directory
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Event()

    async def start(self) -> None:
        self.store = Store(self._directory / "hub.db")
        self.hub = IotHub(self.store, "localhost", HUB_KEY, self._append)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self.hub.mqtt_protocol, "127.0.0.1", self.port, ssl=self._tls
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self.hub.close()
            self.store.close()
            self._server = None

    close = stop

    def register(self, device_id: str) -> None:
        self.hub.create_device(device_id, IdentityRequest(None, None, None, None))

    def connection_string(self, device_id: str) -> str:
        key = self.hub.registry.get(device_id).primary_key
        return f"HostName=localhost:{self.port};DeviceId={device_id};SharedAccessKey={key}"

    def bodies(self, kind: str = "data", device_id: str | None = None) -> list[bytes]:
        """Bodies in the order in which the hub took them, repeats of a mid dropped."""
        highest: dict[str, int] = {}
        taken = []
        for event in self.telemetry:
            if event.mid <= highest.get(event.device_id, 0):
                continue
            highest[event.device_id] = event.mid
            mine = device_id in (None, event.device_id)
            if mine and event.properties["type"] == kind:
                taken.append(event.body)
        return taken

    async def until_bodies(
        self, count: int, kind: str = "data", seconds: float = 30
    ) -> list[bytes]:
        """Wait until so many distinct messages arrived. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while len(self.bodies(kind)) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return self.bodies(kind)

    async def until_last(self, body: bytes, seconds: float = 30) -> None:
        """Wait until the last data message is this one. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            while self.bodies()[-1:] != [body]:
                self._arrived.clear()
                await self._arrived.wait()

    def send(self, device_id: str, body: bytes, message_id: str | None = None) -> None:
        self.hub.send(device_id, CloudMessage(body, message_id))

    def waiting(self, device_id: str) -> int:
        """How many cloud-to-device messages the device has not acknowledged."""
        return self.hub.c2d.waiting(device_id)

    def desire(self, device_id: str, desired: dict[str, Any]) -> None:
        self.hub.update_twin(device_id, TwinRequest(None, desired), None)

    def reported(self, device_id: str) -> dict[str, Any]:
        twin = self.hub.twins.get(device_id)
        reported = twin.device_view()["reported"]
        return {name: value for name, value in reported.items() if not name.startswith("$")}

    async def invoke(self, device_id: str, method: str, payload: bytes) -> MethodAnswer:
        return await self.hub.methods.invoke(device_id, MethodCall(method, payload, 5, 5))

    def _append(
        self,
        *,
        partition_key: str,
        body: bytes,
        annotations: Mapping[str, object],
        application_properties: Mapping[str, object],
        message_id: str | None = None,
        correlation_id: str | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> int:
        if annotations["iothub-message-source"] == "Telemetry":
            event = Event(
                partition_key,
                int(message_id or 0),
                body,
                dict(application_properties),
                dict(annotations),
                content_type,
            )
            self.telemetry.append(event)
            self._arrived.set()
        elif annotations["iothub-message-source"] == "twinChangeEvents":
            self.reports.append(json.loads(body)["properties"].get("reported", {}))
        return len(self.telemetry)
