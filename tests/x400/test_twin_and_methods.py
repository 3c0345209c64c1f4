"""Reported and desired properties, and the direct method `reboot`."""

import asyncio
import json
import time

import pytest

from tests.x400.gateways import DEVICE_ID, running, until
from tests.x400.local_hub import Hub
from x400.app import Iomote
from x400.errors import ErrorCode
from x400.gateway import Gateway
from x400.settings import GatewaySettings
from x400.status import CloudLed
from x400.twin import merge


async def test_the_gateway_reports_itself_and_its_app(hub: Hub, gateway: Gateway) -> None:
    assert gateway.app.begin("Pump watch", 1, 2, 3) == 0
    assert gateway.app.time > 1_700_000_000
    expected = {
        "fwversion": "1.0.0",
        "connectivity": "ethernet",
        "ICCID": "",
        "type": "X400",
        "app_name": "Pump watch",
        "app_version": "1.2.3",
    }
    await until(lambda: hub.reported(DEVICE_ID) == expected)


async def test_only_changes_are_reported(hub: Hub, settings: GatewaySettings) -> None:
    async with running(Gateway(settings)) as gateway:
        gateway.app.begin("app", 1, 0, 0)
        await until(lambda: "app_name" in hub.reported(DEVICE_ID))
        version = hub.hub.twins.get(DEVICE_ID).reported.version
        gateway.app.begin("app", 1, 0, 0)
        gateway.app.rtcSync()
        await asyncio.sleep(0.1)
    async with running(Gateway(settings)) as gateway:
        await gateway.until_connected()
        gateway.app.begin("app", 1, 0, 0)
        await asyncio.sleep(0.1)
        assert hub.hub.twins.get(DEVICE_ID).reported.version == version
        gateway.app.begin("app", 1, 0, 1)
        await until(lambda: hub.reported(DEVICE_ID)["app_version"] == "1.0.1")
        assert hub.hub.twins.get(DEVICE_ID).reported.version == version + 1


async def test_properties_of_the_app_survive_until_they_are_sent(
    hub: Hub, settings: GatewaySettings
) -> None:
    async with running(Gateway(settings)) as gateway:
        gateway.unplug()
        assert gateway.app.propertiesSend('{"pump": {"on": true, "rpm": 900}}') == 0
        assert gateway.app.propertiesSend('{"pump": {"rpm": null, "hot": false}}') == 0
    async with running(Gateway(settings)):
        await until(lambda: hub.reported(DEVICE_ID).get("pump") == {"on": True, "hot": False})


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", "[" * 8000, '{"fwversion": "9"}', '{"ota_app": {}}']
)
async def test_wrong_properties_are_refused(gateway: Gateway, text: str) -> None:
    assert gateway.app.propertiesSend(text) == ErrorCode.IOMOTE_ERR_DATA


async def test_properties_are_limited_in_bytes(gateway: Gateway) -> None:
    most = json.dumps({"text": "€" * 2726}, ensure_ascii=False, separators=(",", ":"))
    assert len(most.encode()) == 8189
    assert gateway.app.propertiesSend(most) == 0
    more = json.dumps({"text": "€" * 2728}, ensure_ascii=False, separators=(",", ":"))
    assert gateway.app.propertiesSend(more) == ErrorCode.IOMOTE_ERR_MSG_SIZE


async def test_settings_are_fetched_patched_and_kept(hub: Hub, settings: GatewaySettings) -> None:
    hub.desire(DEVICE_ID, {"settings": {"interval": 5, "unit": "C"}, "ota_app": {"job": "1"}})
    async with running(Gateway(settings)) as gateway:
        await until(lambda: gateway.app.settingsRead() != "{}")
        assert json.loads(gateway.app.settingsRead()) == {"interval": 5, "unit": "C"}
        hub.desire(DEVICE_ID, {"settings": {"interval": 9, "unit": None}})
        await until(lambda: json.loads(gateway.app.settingsRead()) == {"interval": 9})
    await hub.stop()
    async with running(Gateway(settings)) as gateway:
        assert json.loads(gateway.app.settingsRead()) == {"interval": 9}
        assert gateway.core.twin.desired["ota_app"] == {"job": "1"}


async def test_reboot_answers_then_resets(hub: Hub, settings: GatewaySettings) -> None:
    begins: list[Iomote] = []

    async def sketch(iomote: Iomote) -> None:
        await asyncio.sleep(0.05)
        begins.append(iomote)
        iomote.begin("app", 1, 0, 0)
        while True:
            await iomote.wait(60)

    async with running(Gateway(settings, sketch=sketch)) as gateway:
        assert gateway.core.led is CloudLed.APP_RESTARTING
        await gateway.until_connected()
        await until(lambda: gateway.core.led is CloudLed.CONNECTED)
        await gateway.until_delivered()
        first = gateway.core
        answer = await hub.invoke(DEVICE_ID, "reboot", b"{}")
        assert answer.status == 200
        await until(lambda: gateway.resets == 1)
        await gateway.until_connected()
        assert gateway.core is not first
        await until(lambda: len(begins) == 2)
        await gateway.until_delivered()
        assert begins[0].sendMessage("from a former life") == ErrorCode.IOMOTE_ERR_TIMEOUT
    events = [json.loads(body)["event"] for body in hub.bodies("management")]
    assert events == ["started", "rebooted"]


async def test_pairing_wipes_messages_and_mids_go_on_from_the_time(
    hub: Hub, gateway: Gateway
) -> None:
    await gateway.until_delivered()
    hub.send(DEVICE_ID, b"for the former owner", "x")
    await gateway.until_user_message()
    before = int(time.time() * 1000)
    answer = await hub.invoke(DEVICE_ID, "reboot", b'{"wipe": true}')
    assert answer.status == 200
    await until(lambda: gateway.resets == 1)
    await gateway.until_connected()
    assert not gateway.app.userMessageAvailable()
    gateway.app.sendMessage("for the new owner")
    await gateway.until_delivered()
    assert hub.telemetry[-1].mid > before


async def test_wiped_messages_never_leave(hub: Hub, gateway: Gateway) -> None:
    await gateway.until_delivered()
    gateway.unplug()
    gateway.app.sendMessage("of the former owner")
    gateway.core.wipe()
    gateway.plug()
    gateway.app.sendMessage("of the new owner")
    await gateway.until_delivered()
    assert hub.bodies() == [b"of the new owner"]
    assert gateway.app.messagesLeft() == 98


@pytest.mark.parametrize(
    ("method", "payload", "status"),
    [("selfdestruct", b"{}", 404), ("reboot", b"[1]", 400), ("reboot", b'{"wipe": "yes"}', 400)],
)
async def test_what_the_gateway_cannot_do_is_answered(
    hub: Hub, gateway: Gateway, method: str, payload: bytes, status: int
) -> None:
    answer = await hub.invoke(DEVICE_ID, method, payload)
    assert answer.status == status
    assert gateway.resets == 0


def test_two_patches_become_one() -> None:
    first = {"a": {"x": 1, "y": 2}, "b": 1}
    second = {"a": {"x": None}, "b": {"c": 3}}
    both = merge(first, second, keep_null=True)
    target = {"a": {"x": 0, "z": 5}}
    assert merge(target, both) == merge(merge(target, first), second)
