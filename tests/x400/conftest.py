"""A local IoT Hub in the test's process, and gateways that connect to it over real MQTT."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from tests.x400.gateways import DEVICE_ID, DEVICE_KEY, MakeSettings, running
from tests.x400.local_hub import Hub
from tests.x400.ota_server import OtaServer, public
from tests.x400.updates import sketch
from x400.gateway import Gateway
from x400.settings import GatewaySettings


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    """A hub that knows one device; plain MQTT on a free port."""
    hub = Hub(tmp_path / "azure")
    await hub.start()
    hub.register(DEVICE_ID)
    yield hub
    await hub.close()


@pytest.fixture
def make_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeSettings:
    """Settings of a gateway; a store of its own, a short back-off, nothing from outside."""
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(f"MYMOTE_X400_{name.upper()}", raising=False)

    def make(connection_string: str = "", **changes: Any) -> GatewaySettings:
        unused = base64.b64encode(b"unused").decode()
        text = connection_string or f"HostName=localhost:9;DeviceId=d;SharedAccessKey={unused}"
        values: dict[str, Any] = {
            "connection_string": SecretStr(text),
            "device_key": SecretStr(DEVICE_KEY),
            "state": tmp_path / "x400",
            "plain": True,
            "durability": "normal",
            "backoff_initial": 0.05,
            "backoff_maximum": 0.2,
            "network_delay": 0.05,
            "install_time": 0.02,
            "power_loss": 0.05,
            "ota_public_keys": [],
            "ota_tries": 3,
        }
        return GatewaySettings(**(values | changes))

    return make


@pytest.fixture
def settings(hub: Hub, make_settings: MakeSettings) -> GatewaySettings:
    """Settings of the hub's device."""
    return make_settings(hub.connection_string(DEVICE_ID))


@pytest.fixture
async def gateway(settings: GatewaySettings) -> AsyncIterator[Gateway]:
    """The hub's device, connected, without a sketch."""
    async with running(Gateway(settings)) as gateway:
        await gateway.until_connected()
        yield gateway


@pytest.fixture
async def server(settings: GatewaySettings) -> AsyncIterator[OtaServer]:
    """A server of binaries, whose key a gateway of `settings` trusts."""
    server = OtaServer()
    await server.start()
    settings.ota_public_keys.append(public(server.key))
    yield server
    await server.close()


@pytest.fixture
async def updated(settings: GatewaySettings, server: OtaServer) -> AsyncIterator[Gateway]:
    """The hub's device, connected, with a sketch, and a server to download from."""
    async with running(Gateway(settings, sketch=sketch)) as gateway:
        await gateway.until_connected()
        yield gateway
