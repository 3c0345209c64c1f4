"""The library's calls as a sketch sees them: return values, pins, faults."""

import asyncio
import json

import pytest

from tests.x400.gateways import DEVICE_ID, MakeSettings, running, until
from tests.x400.local_hub import Hub
from x400 import board, demo
from x400.app import IOMOTE_WARNING, Iomote
from x400.errors import ErrorCode
from x400.gateway import Gateway, GatewayOffError
from x400.settings import GatewaySettings
from x400.status import CloudLed, NetStatus


async def test_refusals_are_negative_numbers(hub: Hub, make_settings: MakeSettings) -> None:
    settings = make_settings(hub.connection_string(DEVICE_ID), daily_messages=1)
    async with running(Gateway(settings)) as gateway:
        app = gateway.app
        assert app.sendMessage("x" * 3751) == -3
        assert app.sendMessage("é" * 1876) == -3
        assert app.sendMessage("") == -5
        assert app.sendMessage("x", user_route="é") == -2
        assert app.sendNotification(IOMOTE_WARNING, "x" * 101) == -3
        assert app.sendNotification(9, "x") == -2
        assert app.messagesLeft() == 1
        assert app.sendMessage("x" * 3750) == 0
        assert app.sendMessage("x") == -4
        assert app.messagesLeft() == 0
        assert app.begin("n" * 101, 1, 0, 0) == -2
        assert app.begin("name", 256, 0, 0) == -2
        await gateway.until_delivered()
    assert hub.bodies() == [b"x" * 3750]


async def test_bytes_that_are_not_utf_8_arrive_as_they_are(hub: Hub, gateway: Gateway) -> None:
    body = b"\xff\xfe\x00 caf\xe9"
    assert gateway.app.sendMessage(body) == 0
    assert gateway.app.sendMessage(body.decode(errors="surrogateescape")) == 0
    assert await hub.until_bodies(2) == [body, body]


async def test_network_settings_reconnect_and_are_told(hub: Hub, gateway: Gateway) -> None:
    app = gateway.app
    app.netDHCP(False)
    app.netIP(10, 0, 0, 300)
    assert app.applyNetConfig() == ErrorCode.IOMOTE_ERR_DHCP_VAL
    app.netIP(10, 0, 0, 3)
    app.netSubnet(255, 255, 255, 0)
    app.netGateway(10, 0, 0, 1)
    app.netDNS(10, 0, 0, 1)
    connections = gateway.core.cloud.connections
    assert app.applyNetConfig() == 0
    assert app.apnSetParams(1, "apn example", "u", "p", "", "", "") == ErrorCode.IOMOTE_ERR_DATA
    assert app.apnSetParams(1, "apn.example", "u", "hush", "", "", "") == 0
    await until(lambda: gateway.core.cloud.connections > connections)
    await gateway.until_delivered()
    told = [json.loads(body) for body in hub.bodies("management")]
    assert [event["event"] for event in told] == ["started", "network_changed", "network_changed"]
    assert "10.0.0.3" in told[1]["detail"]
    assert b"hush" not in b"".join(hub.bodies("management"))


async def test_pins(gateway: Gateway) -> None:
    app = gateway.app
    gateway.board.set_digital(board.DIG_IN1, 1)
    gateway.board.set_analog(board.AN_1, 12.5)
    gateway.board.set_analog(board.AN_2, 99)
    assert app.digitalRead(board.DIG_IN1) == 1
    assert (app.analogRead(board.AN_1), app.analogRead(board.AN_2)) == (12.5, 10.0)
    app.digitalWrite(board.RELAY_OUT, 1)
    app.digitalWrite(board.DIG_IN1, 0)
    assert (app.digitalRead(board.RELAY_OUT), app.digitalRead(board.DIG_IN1)) == (1, 1)
    with pytest.raises(ValueError, match="not a digital"):
        gateway.board.set_digital(99, 1)
    await app.wait(0)
    gateway.press()
    assert app.pressed()
    await app.wait(5)
    await app.wait(5)
    assert not app.pressed()


async def test_a_failing_storage_is_a_hardware_fault_and_mended_by_a_reset(
    hub: Hub, make_settings: MakeSettings
) -> None:
    settings = make_settings(hub.connection_string(DEVICE_ID), fault_reset=0.3)
    async with running(Gateway(settings)) as gateway:
        await gateway.until_delivered()
        assert gateway._store is not None
        gateway._store._db.execute("PRAGMA query_only=ON")
        assert gateway.app.sendMessage("x") == ErrorCode.IOMOTE_ERR_STORAGE_WR
        assert gateway.core.led is CloudLed.HARDWARE_FAULT
        assert gateway.app.netStatus().status == NetStatus.HARDWARE_ERROR
        await until(lambda: gateway.resets == 1)
        assert gateway.app.sendMessage("y") == 0
        await gateway.until_delivered()
    assert hub.bodies() == [b"y"]


async def test_an_app_that_fails_is_started_again(
    hub: Hub, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("x400.gateway.SKETCH_RESTART_SECONDS", 0.1)
    lives = 0

    async def sketch(iomote: Iomote) -> None:
        nonlocal lives
        lives += 1
        iomote.begin("fragile", 1, 0, 0)
        if lives == 1:
            raise ZeroDivisionError
        await asyncio.sleep(60)

    settings = make_settings(hub.connection_string(DEVICE_ID))
    async with running(Gateway(settings, sketch=sketch)) as gateway:
        await until(lambda: lives == 2)
        await gateway.until_delivered()
        events = [json.loads(body) for body in hub.bodies("management")]
    assert [event["event"] for event in events] == ["started", "app_restarted"]
    assert "ZeroDivisionError" in events[1]["detail"]


async def test_presses_do_not_put_off_the_demos_readings(
    hub: Hub, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "EAGER_INTERVAL", 0.25)
    settings = make_settings(hub.connection_string(DEVICE_ID))
    causes: list[str] = []
    async with running(Gateway(settings, sketch=demo.demo)) as gateway, asyncio.timeout(30):
        while causes.count("timer") < 3:  # never, if a press began the interval anew
            gateway.press()
            await asyncio.sleep(0.05)
            causes = [json.loads(body)["cause"] for body in hub.bodies()]
    assert "button" in causes


async def test_a_gateway_that_is_off_says_so(gateway: Gateway) -> None:
    app = gateway.app
    await gateway.kill()
    assert app.sendMessage("x") == ErrorCode.IOMOTE_ERR_TIMEOUT
    assert app.settingsRead() == ""
    with pytest.raises(GatewayOffError):
        _ = gateway.core


@pytest.mark.parametrize("when", ["before", "meanwhile"])
async def test_no_sketch_outlives_a_kill_beside_an_installation(
    settings: GatewaySettings, when: str
) -> None:
    lives: set[object] = set()

    async def stubborn(_: Iomote) -> None:
        me = object()
        lives.add(me)
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            lives.remove(me)

    gateway = Gateway(settings, sketch=stubborn)
    await gateway.start()
    await until(lambda: bool(lives))
    killing = asyncio.ensure_future(gateway.kill()) if when == "meanwhile" else None
    await asyncio.sleep(0)
    gateway._restart_app("it was installed")  # where no order hits surely
    await (killing or gateway.kill())
    await gateway.start()
    await until(lambda: bool(lives))
    await asyncio.sleep(0.1)
    assert len(lives) == 1
    await gateway.kill()
    assert not lives
