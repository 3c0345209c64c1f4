"""Fixtures of the IoT Hub tests."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.emulator_iothub.iothub_harness import PahoDevice, RawClient, Running, running_hub


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    async with running_hub(tmp_path) as hub:
        yield hub


@pytest.fixture
def paho_device(running: Running) -> Iterator[Callable[..., PahoDevice]]:
    devices: list[PahoDevice] = []

    def make(device_id: str = "gateway", **options: Any) -> PahoDevice:
        devices.append(PahoDevice(running.mqtt_port, device_id, **options))
        return devices[-1]

    yield make
    for device in devices:
        device.client.disconnect()
        device.client.loop_stop()


@pytest.fixture
async def raw(running: Running) -> AsyncIterator[Callable[[], Awaitable[RawClient]]]:
    clients: list[RawClient] = []

    async def make() -> RawClient:
        clients.append(await RawClient.open(running.mqtt_port))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
