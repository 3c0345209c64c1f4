"""Updates over the air as a gateway carries them out: real MQTT, real HTTP, each fault."""

import os
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.x400.gateways import DEVICE_ID, running, until
from tests.x400.local_hub import Hub
from tests.x400.ota_server import OtaServer, public
from x400.app import Iomote
from x400.gateway import Gateway
from x400.settings import GatewaySettings

APP = os.urandom(200_001)
FIRMWARE = os.urandom(1_000_003)


@pytest.fixture
async def server() -> AsyncIterator[OtaServer]:
    server = OtaServer()
    await server.start()
    yield server
    await server.close()


@pytest.fixture
def settings(settings: GatewaySettings, server: OtaServer) -> GatewaySettings:
    fast = {"install_time": 0.02, "power_loss": 0.05, "ota_public_keys": [public(server.key)]}
    return settings.model_copy(update=fast)


async def sketch(iomote: Iomote) -> None:
    iomote.begin("first sketch", 1, 0, 0)
    while True:
        await iomote.wait(60)


@pytest.fixture
async def gateway(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    async with running(Gateway(settings, sketch=sketch)) as gateway:
        await gateway.until_connected(5)
        yield gateway


def desire(hub: Hub, order: dict[str, Any] | None, kind: str = "app") -> None:
    hub.desire(DEVICE_ID, {f"ota_{kind}": order})


async def ends(hub: Hub, job: str, state: str, kind: str = "app") -> str:
    """Wait for a reported state; its error."""

    def reported() -> dict[str, Any]:
        return hub.reported(DEVICE_ID).get(f"ota_{kind}", {})

    await until(lambda: (reported().get("job"), reported().get("state")) == (job, state))
    assert reported().keys() == {"job", "state", "percent", "error"}
    return str(reported()["error"])


async def test_an_app_is_downloaded_checked_installed_and_begins(
    hub: Hub, server: OtaServer, gateway: Gateway
) -> None:
    await until(lambda: hub.reported(DEVICE_ID).get("app_name") == "first sketch")
    desire(hub, server.order("j1", APP))
    assert await ends(hub, "j1", "succeeded") == ""
    await until(lambda: hub.reported(DEVICE_ID)["app_version"] == "2.0.0")
    assert hub.reported(DEVICE_ID)["app_name"] == "Pump watch"
    assert gateway.resets == 0


async def test_firmware_resets_the_gateway_and_stays(
    hub: Hub, server: OtaServer, gateway: Gateway, settings: GatewaySettings
) -> None:
    desire(hub, server.order("j1", FIRMWARE, "firmware", "1.4.0"), "firmware")
    assert await ends(hub, "j1", "succeeded", "firmware") == ""
    await until(lambda: hub.reported(DEVICE_ID)["fwversion"] == "1.4.0")
    assert gateway.resets == 1
