"""The virtual gateway and the OTA service: an order's whole way, and a fault on it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from services.api.logic.manufacturing import Manufactured
from shared.schemas.jobs import JobState
from stack.local import LocalStack
from tests.ota.order_calls import APP, Orders
from x400.faults import Fault
from x400.gateway import Gateway
from x400.settings import GatewaySettings


@pytest.fixture
async def x400(stack: LocalStack, device: Manufactured, tmp_path: Path) -> AsyncIterator[Gateway]:
    """`device` as a virtual gateway, connected."""
    settings = GatewaySettings(
        connection_string=SecretStr(device.device_connection_string),
        device_key=SecretStr(device.device_key),
        state=tmp_path,
        port=stack.settings.mqtt_port,
        plain=True,
        durability="normal",
        backoff_initial=0.05,
        network_delay=0.05,
        install_time=0.05,
        power_loss=0.05,
        ota_public_keys=[stack.endpoints.ota_public_key],
    )
    gateway = Gateway(settings)
    try:
        await gateway.start()
        await gateway.until_connected()
        yield gateway
    finally:
        await gateway.kill()


async def test_an_app_and_a_firmware_reach_a_gateway(
    orders: Orders, device: Manufactured, x400: Gateway
) -> None:
    await orders.tidied(await orders.app(device.device_id), JobState.SUCCEEDED)
    assert x400.core.app_name_and_version() == f"{APP} 1.0.0"
    await orders.tidied(await orders.firmware(device.device_id), JobState.SUCCEEDED)
    assert x400.core.fwversion == "2.0.0"


async def test_faults_are_told_and_got_over(
    orders: Orders, device: Manufactured, x400: Gateway
) -> None:
    for fault in (Fault.CUT_DOWNLOAD, Fault.CORRUPT, Fault.POWER_LOSS):
        x400.core.updates.faults.arm(fault, times=1)
    job = await orders.tidied(await orders.app(device.device_id), JobState.SUCCEEDED)
    assert job.attempt == 3
    reasons = [step.reason for step in job.steps]
    assert any("(MD5)" in reason for reason in reasons)
    assert any("lost its power" in reason for reason in reasons)
