"""Delivery to a real MQTT server: in order, once told apart by mid, through every failure."""

import asyncio
import json
import ssl
import time
from datetime import datetime
from pathlib import Path

import pytest
import trustme

from tests.x400.gateways import DEVICE_ID, DEVICE_KEY, MakeSettings, running
from tests.x400.local_hub import Hub
from x400.app import IOMOTE_ALARM
from x400.errors import ErrorCode
from x400.gateway import Gateway
from x400.journal import Fate, Record
from x400.messages import Kind, Outcome
from x400.settings import GatewaySettings
from x400.status import CloudLed, NetStatus


async def test_a_message_arrives_as_it_was_given(hub: Hub, gateway: Gateway) -> None:
    body = b'{"text": "a&b=c %41 \xc3\xa9"}'
    code = gateway.app.sendMessage(
        body, content_type="application/json", user_route="north/side & south"
    )
    assert code == 0
    await hub.until_bodies(1)
    event = next(e for e in hub.telemetry if e.properties["type"] == "data")
    assert event.body == body
    assert event.content_type == "application/json"
    assert event.properties == {"type": "data", "user_route": "north/side & south"}
    assert str(event.annotations["iothub-creation-time-utc"]).endswith("Z")


async def test_a_notification_carries_its_level(hub: Hub, gateway: Gateway) -> None:
    assert gateway.app.sendNotification(IOMOTE_ALARM, "Water") == 0
    assert await hub.until_bodies(1, "notification") == [b"Water"]
    event = next(e for e in hub.telemetry if e.properties["type"] == "notification")
    assert event.properties["level"] == "3"


async def test_the_gateway_tells_that_it_started(hub: Hub, gateway: Gateway) -> None:
    events = await hub.until_bodies(1, "management")
    assert json.loads(events[0])["event"] == "started"


async def test_order_survives_lost_connections(hub: Hub, gateway: Gateway) -> None:
    sent = []
    for number in range(90):
        sent.append(b"%d" % number)
        assert gateway.app.sendMessage(sent[-1]) == 0
        if number % 9 == 4:
            gateway.unplug()
        if number % 9 == 8:
            gateway.plug()
            await asyncio.sleep(0.06)
    await gateway.until_delivered()
    assert hub.bodies() == sent
    assert gateway.app.messagesPending() == 0


async def test_messages_wait_for_a_hub_that_is_down(hub: Hub, gateway: Gateway) -> None:
    await gateway.until_delivered()
    await hub.stop()
    sent = [b"%d" % n for n in range(20)]
    for body in sent:
        assert gateway.app.sendMessage(body) == 0
    assert gateway.app.messagesPending() == 20
    await asyncio.sleep(0.3)
    assert gateway.core.led in (CloudLed.DISCONNECTED, CloudLed.CLOUD_CONNECTING)
    await hub.start()
    await gateway.until_delivered()
    assert hub.bodies() == sent


async def test_killed_gateways_lose_nothing_acknowledged(
    hub: Hub, settings: GatewaySettings
) -> None:
    told: list[Outcome] = []
    for life in range(5):
        async with running(Gateway(settings, on_outcome=told.append)) as gateway:
            for number in range(15):
                gateway.app.sendMessage(f"{life}-{number}")
            await asyncio.sleep(0.03 * life)
    async with running(Gateway(settings)) as gateway:
        await gateway.until_delivered()
    assert len(told) == 75
    assert hub.bodies() == [outcome.draft.body for outcome in told]


async def test_the_fate_of_each_message_is_told(hub: Hub, settings: GatewaySettings) -> None:
    records: list[Record] = []
    async with running(Gateway(settings, on_record=records.append)) as gateway:
        gateway.app.sendMessage("taken")
        await gateway.until_delivered()
        gateway.unplug()
        gateway.app.sendMessage("wiped")
        gateway.core.wipe()
    told = [(r.fate, r.message.draft.body) for r in records if r.message.draft.kind is Kind.DATA]
    assert told == [
        (Fate.STORED, b"taken"),
        (Fate.ACKNOWLEDGED, b"taken"),
        (Fate.STORED, b"wiped"),
        (Fate.WIPED, b"wiped"),
    ]
    taken = {event.mid: event.annotations["iothub-creation-time-utc"] for event in hub.telemetry}
    for record in records:
        if record.fate is Fate.ACKNOWLEDGED:
            created = datetime.fromisoformat(str(taken[record.message.mid]))
            assert created.timestamp() == pytest.approx(record.message.created_ms / 1000)


async def test_the_token_is_renewed_without_a_loss(hub: Hub, settings: GatewaySettings) -> None:
    settings = settings.model_copy(update={"sas_ttl": 1.5})  # shorter than a person may set it
    # It ends with a full second and is renewed after 1.3 s: begun now, 0.7 s early at least.
    await asyncio.sleep(max(0.55 - time.time() % 1, 0))
    statuses: set[NetStatus] = set()
    async with running(Gateway(settings)) as gateway:
        await gateway.until_connected()
        first_link = gateway.core.cloud.connections
        sent: list[bytes] = []
        while len(sent) < 90 and gateway.core.cloud.connections == first_link:
            sent.append(f"{len(sent)}".encode())
            assert gateway.app.sendMessage(sent[-1]) == 0
            statuses.add(gateway.core.net_status()[0])
            await asyncio.sleep(0.03)
        await gateway.until_delivered()
        assert gateway.core.cloud.connections > first_link
    assert hub.bodies() == sent
    assert NetStatus.CLOUD_DISCONNECTED not in statuses


async def test_tls_with_the_hubs_ca(tmp_path: Path, make_settings: MakeSettings) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    hub = Hub(tmp_path / "azure", context)
    await hub.start()
    hub.register(DEVICE_ID)
    settings = make_settings(
        hub.connection_string(DEVICE_ID), plain=False, ca_file=tmp_path / "ca.pem"
    )
    async with running(Gateway(settings)) as gateway:
        sent = [b"%d" % n + b"x" * 3700 for n in range(50)]
        for body in sent:
            assert gateway.app.sendMessage(body) == 0
        await gateway.until_delivered()
    assert hub.bodies() == sent
    await hub.close()


async def test_a_wrong_key_is_retried_with_care(hub: Hub, make_settings: MakeSettings) -> None:
    right, name, _ = hub.connection_string(DEVICE_ID).partition("SharedAccessKey=")
    text = f"{right}{name}d3Jvbmc="
    began = time.monotonic()
    async with running(Gateway(make_settings(text, backoff_initial=0.2))) as gateway:
        leds = set()
        async with asyncio.timeout(30):
            while gateway.core.cloud.attempts < 4:
                leds.add((gateway.core.net_status()[0], gateway.core.led))
                await asyncio.sleep(0.01)
        assert time.monotonic() - began >= 0.3  # each pause is 0.1 s at least
        assert (NetStatus.CLOUD_DISCONNECTED, CloudLed.DISCONNECTED) in leds
        assert NetStatus.CLOUD_CONNECTED not in {status for status, _ in leds}


async def test_unplugged_the_led_is_red(gateway: Gateway) -> None:
    leds = [gateway.core.led]
    gateway.unplug()
    leds.append(gateway.core.led)
    await asyncio.sleep(0.1)
    assert gateway.app.netStatus()[:2] == (0, NetStatus.NETWORK_ERROR)
    gateway.plug()
    leds.append(gateway.core.led)
    assert leds == [CloudLed.CONNECTED, CloudLed.NETWORK_ERROR, CloudLed.NETWORK_CONNECTING]
    await gateway.until_connected()


async def test_the_app_may_disable_the_cloud(gateway: Gateway) -> None:
    assert gateway.app.cloudEnabled(False) == 0
    await asyncio.sleep(0.1)
    assert gateway.core.led is CloudLed.DISCONNECTED
    assert gateway.app.cloudEnabled(True) == 0
    await gateway.until_connected()


async def test_the_device_key(gateway: Gateway) -> None:
    assert gateway.app.devKey() == DEVICE_KEY


async def test_a_stopped_gateway_delivers_what_is_in_flight(
    hub: Hub, settings: GatewaySettings
) -> None:
    gateway = Gateway(settings)
    await gateway.start()
    await gateway.until_connected()
    for number in range(5):
        gateway.app.sendMessage(f"{number}")
    await gateway.stop()
    assert hub.bodies() == [b"0", b"1", b"2", b"3", b"4"]


async def test_a_hundred_gateways_in_one_process(hub: Hub, make_settings: MakeSettings) -> None:
    gateways = []
    for number in range(100):
        hub.register(f"fleet-{number}")
        gateways.append(Gateway(make_settings(hub.connection_string(f"fleet-{number}"))))
    async with running(*gateways):
        for round_ in range(3):
            for gateway in gateways:
                assert gateway.app.sendMessage(f"{round_}") == 0
        await asyncio.gather(*(gateway.until_delivered(60) for gateway in gateways))
    for number in range(100):
        assert hub.bodies(device_id=f"fleet-{number}") == [b"0", b"1", b"2"]


async def test_a_changed_connection_string_is_used(
    hub: Hub, gateway: Gateway, settings: GatewaySettings
) -> None:
    hub.register("other")
    assert gateway.app.connStr("HostName=nonsense") == ErrorCode.IOMOTE_ERR_DATA
    assert gateway.app.connStr(hub.connection_string("other")) == 0
    gateway.app.sendMessage("from another identity")
    await gateway.until_delivered()
    assert hub.bodies(device_id="other") == [b"from another identity"]
    await gateway.kill()
    async with running(Gateway(settings)) as again:
        assert again.core.device_id == "other"


@pytest.mark.parametrize(("window", "count"), [(1, 40), (7, 95)])
async def test_any_window_keeps_the_order(
    hub: Hub, make_settings: MakeSettings, window: int, count: int
) -> None:
    settings = make_settings(hub.connection_string(DEVICE_ID), window=window)
    async with running(Gateway(settings)) as gateway:
        sent = [b"%d" % n for n in range(count)]
        for body in sent:
            assert gateway.app.sendMessage(body) == 0
        await gateway.until_delivered()
    assert hub.bodies() == sent
