"""Updates over the air as a gateway carries them out: real MQTT, real HTTP."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from tests.x400.gateways import DEVICE_ID, running, until
from tests.x400.local_hub import Hub
from tests.x400.ota_server import OtaServer, published
from tests.x400.updates import APP, FIRMWARE, desire, ends, reported, runs, sketch
from x400.gateway import Gateway
from x400.settings import GatewaySettings


@pytest.fixture
async def gateway(settings: GatewaySettings, server: OtaServer) -> AsyncIterator[Gateway]:
    """The hub's device, connected, with a sketch, and a server to download from."""
    async with running(Gateway(settings, sketch=sketch)) as gateway:
        await gateway.until_connected(5)
        yield gateway


async def test_an_app_is_downloaded_installed_and_begins(
    hub: Hub, server: OtaServer, gateway: Gateway, settings: GatewaySettings
) -> None:
    await runs(hub, "first sketch", "1.0.0")
    desire(hub, server.order("j1", APP))
    assert await ends(hub, "j1", "succeeded") == ""
    await runs(hub, "Pump watch", "2.0.0")
    assert [(one.start, one.sent) for one in server.served] == [(0, len(APP))]
    assert gateway.resets == 0
    assert not list(settings.state.glob("*.bin"))
    await gateway.until_delivered(5)
    events = [json.loads(body) for body in hub.bodies("management")]
    assert events[-1] == {"event": "app_restarted", "detail": "Pump watch 2.0.0 was installed"}

    desire(hub, None)  # over for the cloud
    desire(hub, server.order("j2", APP[:50], version="2.0.1"))
    assert await ends(hub, "j2", "succeeded") == ""
    await runs(hub, "Pump watch", "2.0.1")
    await gateway.kill()
    async with running(Gateway(settings, sketch=sketch)) as again:
        await until(lambda: again.core.app_name_and_version() == "Pump watch 2.0.1")


async def test_another_sketch_replaces_what_was_installed(
    hub: Hub, server: OtaServer, settings: GatewaySettings
) -> None:
    async with running(Gateway(settings)) as gateway:
        desire(hub, server.order("j1", APP))
        await ends(hub, "j1", "succeeded")
        await runs(hub, "Pump watch", "2.0.0")
        gateway.app.begin("mine", 1, 0, 0)
        assert gateway.core.app_name_and_version() == "Pump watch 2.0.0"
        desire(hub, server.order("j2", APP, version="2.1.0"))
        await ends(hub, "j2", "succeeded")
        await runs(hub, "Pump watch", "2.1.0")
        gateway.app.begin("mine", 1, 0, 1)
        await runs(hub, "mine", "1.0.1")


async def test_firmware_resets_the_gateway_and_stays(
    hub: Hub, server: OtaServer, gateway: Gateway, settings: GatewaySettings
) -> None:
    desire(hub, server.order("j1", FIRMWARE, "firmware", "1.4.0"), "firmware")
    assert await ends(hub, "j1", "succeeded", "firmware") == ""
    await until(lambda: hub.reported(DEVICE_ID)["fwversion"] == "1.4.0")
    assert gateway.resets == 1
    await gateway.kill()
    async with running(Gateway(settings)) as again:
        assert again.core.fwversion == "1.4.0"
    other = settings.model_copy(update={"fwversion": "3.0.0"})
    async with running(Gateway(other)) as again:
        assert again.core.fwversion == "3.0.0"


async def test_both_kinds_at_once(hub: Hub, server: OtaServer, gateway: Gateway) -> None:
    firmware = server.order("f", FIRMWARE, "firmware", "1.4.0")
    hub.desire(DEVICE_ID, {"ota_app": server.order("a", APP), "ota_firmware": firmware})
    await ends(hub, "f", "succeeded", "firmware")
    await ends(hub, "a", "succeeded")
    await runs(hub, "Pump watch", "2.0.0")
    await until(lambda: hub.reported(DEVICE_ID)["fwversion"] == "1.4.0")


async def test_messages_flow_and_progress_is_reported_while_it_downloads(
    hub: Hub, server: OtaServer, gateway: Gateway
) -> None:
    server.flowing.clear()
    desire(hub, server.order("j1", FIRMWARE, "firmware"), "firmware")
    await until(lambda: reported(hub, "firmware").get("percent") == 50)
    assert reported(hub, "firmware")["state"] == "downloading"
    gateway.app.sendMessage("meanwhile")
    await hub.until_last(b"meanwhile")
    server.flowing.set()
    await ends(hub, "j1", "succeeded", "firmware")


@pytest.mark.parametrize("how", ["reset", "kill", "unplug", "cut by the server"])
async def test_a_download_goes_on_at_its_byte(
    hub: Hub, server: OtaServer, gateway: Gateway, settings: GatewaySettings, how: str
) -> None:
    server.flowing.clear()
    if how == "cut by the server":
        server.trouble.cuts = [100_000, 0, 50_000]
        server.flowing.set()
    desire(hub, server.order("j1", APP))
    await until(lambda: bool(server.served))
    if how == "reset":
        await until(lambda: reported(hub).get("percent") == 50)
        gateway.reset("by hand")
        await until(lambda: gateway.resets == 1)
        await gateway.until_connected(5)
    elif how == "kill":
        await until(lambda: reported(hub).get("percent") == 50)
        await gateway.kill()
        await gateway.start()
    elif how == "unplug":
        await until(lambda: reported(hub).get("percent") == 50)
        gateway.unplug()
        server.flowing.set()
        await until(lambda: server.served[0].sent == len(APP))
        gateway.plug()
    server.flowing.set()
    await ends(hub, "j1", "succeeded")
    starts = [one.start for one in server.served]
    assert starts == ([0, 100_000, 100_000, 150_000] if "cut" in how else [0, 100_001])


async def test_a_server_without_ranges_is_asked_from_the_beginning(
    hub: Hub, server: OtaServer, gateway: Gateway
) -> None:
    server.ranges = False
    server.trouble.cuts = [150_000]
    desire(hub, server.order("j1", APP))
    assert await ends(hub, "j1", "succeeded") == ""
    assert [one.start for one in server.served] == [0, 0]


async def test_a_fresh_ticket_changes_the_address_and_nothing_else(
    hub: Hub, server: OtaServer, gateway: Gateway
) -> None:
    server.flowing.clear()
    server.trouble.cuts = [150_000]
    desire(hub, server.order("j1", APP))
    await until(lambda: reported(hub).get("percent") == 50)
    version = hub.hub.twins.get(DEVICE_ID).reported.version
    desire(hub, server.order("j1", APP))  # the first ticket is worth nothing any more
    await until(lambda: hub.hub.twins.get(DEVICE_ID).reported.version > version)  # told again
    server.flowing.set()
    await ends(hub, "j1", "succeeded")
    assert [(one.status, one.start) for one in server.served] == [(200, 0), (206, 150_000)]
    version = hub.hub.twins.get(DEVICE_ID).reported.version
    desire(hub, server.order("j1", APP))
    await until(lambda: hub.hub.twins.get(DEVICE_ID).reported.version > version)
    assert reported(hub)["state"] == "succeeded"
    assert len(server.served) == 2


async def test_an_order_that_is_taken_back_is_dropped(
    hub: Hub, server: OtaServer, gateway: Gateway, settings: GatewaySettings
) -> None:
    server.flowing.clear()
    desire(hub, server.order("j1", APP))
    await until(lambda: reported(hub).get("percent") == 50)
    desire(hub, None)
    await until(lambda: not reported(hub))
    assert not list(settings.state.glob("*.bin"))
    server.flowing.set()
    desire(hub, server.order("j2", APP))
    await ends(hub, "j2", "succeeded")


async def test_a_newer_order_replaces_one_that_downloads(
    hub: Hub, server: OtaServer, gateway: Gateway
) -> None:
    server.flowing.clear()
    desire(hub, server.order("j1", APP))
    await until(lambda: reported(hub).get("percent") == 50)
    server.flowing.set()
    desire(hub, server.order("j2", APP[::-1], version="3.0.0"))
    await ends(hub, "j2", "succeeded")
    await runs(hub, "Pump watch", "3.0.0")


async def test_a_new_owner_sees_nothing_of_the_former_ones_order(
    hub: Hub, server: OtaServer, gateway: Gateway, settings: GatewaySettings
) -> None:
    server.flowing.clear()
    desire(hub, server.order("j1", APP))
    await until(lambda: reported(hub).get("percent") == 50)
    hub.desire(DEVICE_ID, {"wipe": datetime.now(UTC).isoformat(), "ota_app": None})
    await until(lambda: gateway.resets == 1)
    await until(lambda: not reported(hub))
    assert not list(settings.state.glob("*.bin"))


@pytest.mark.parametrize(
    ("statuses", "state", "said"),
    [
        ([403], "failed", "refused: the server answered 403: Not now."),
        ([503, 429, 500], "succeeded", ""),
        ([500] * 3, "failed", "download_failed: the server answered 500; 3 tries in a row"),
    ],
)
async def test_what_the_server_refuses(
    hub: Hub,
    server: OtaServer,
    settings: GatewaySettings,
    statuses: list[int],
    state: str,
    said: str,
) -> None:
    server.trouble.statuses = list(statuses)
    tries = 3 if state == "failed" else 4
    async with running(Gateway(settings.model_copy(update={"ota_tries": tries}))):
        desire(hub, server.order("j1", APP))
        assert said in await ends(hub, "j1", state)
    assert len(server.served) == len(statuses) + (state == "succeeded")


async def test_nobody_answers(hub: Hub, server: OtaServer, settings: GatewaySettings) -> None:
    await server.close()
    async with running(Gateway(settings.model_copy(update={"ota_tries": 2}))):
        desire(hub, server.order("j1", APP))
        assert "download_failed: no connection to 127.0.0.1:" in await ends(hub, "j1", "failed")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"size": 256 * 1024 + 1}, "too_large: 262145 bytes; the memory for the app holds 262144"),
        ({"url": "ftp://example.com/a?ticket=t"}, "bad_order: its url"),
        ({"url": "http://example.com/a"}, "bad_order: its url"),
        ({"version": "1.2"}, "bad_order: its version"),
        ({"version": "1.2.256"}, "bad_order: version numbers"),
        ({"name": "x" * 101}, "bad_order: the app name"),
        ({"size": "12"}, "bad_order: its size"),
        ({"md5": "QUJD"}, "bad_order: its md5"),
        ({"sha256": "AB" * 32}, "bad_order: its sha256"),
        ({"signature": "?"}, "bad_order: its signature"),
        ({"signature": "A" * 86 + "=="}, "bad_signature: not made by a key"),
    ],
)
async def test_wrong_orders_are_rejected_before_a_byte_is_asked_for(
    hub: Hub, server: OtaServer, gateway: Gateway, changes: dict[str, Any], said: str
) -> None:
    desire(hub, server.order("j1", APP) | changes)
    assert said in await ends(hub, "j1", "rejected")
    assert server.served == []
    version = hub.hub.twins.get(DEVICE_ID).reported.version
    gateway.core.cloud.restart("to see that it is not told again")
    await gateway.until_connected(5)
    assert hub.hub.twins.get(DEVICE_ID).reported.version == version


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"device_key": SecretStr("")}, "no_device_key: "),
        ({"ota_public_keys": []}, "bad_signature: the gateway trusts no key yet"),
    ],
)
async def test_a_gateway_that_cannot_says_so(
    hub: Hub, server: OtaServer, settings: GatewaySettings, changes: dict[str, Any], said: str
) -> None:
    async with running(Gateway(settings.model_copy(update=changes))):
        desire(hub, server.order("j1", APP))
        assert said in await ends(hub, "j1", "rejected")
    assert server.served == []


async def test_an_order_without_a_job_is_nobodys(hub: Hub, gateway: Gateway) -> None:
    for count, value in enumerate(("now", {"url": "http://x"}, [1], 7)):
        hub.desire(DEVICE_ID, {"ota_app": None})
        hub.desire(DEVICE_ID, {"ota_app": value, "settings": {"seen": count}})
        await until(partial(_has, gateway, {"seen": count}))
    assert not reported(hub)


async def test_the_next_key_is_believed_where_a_trusted_one_signed_it(
    hub: Hub, server: OtaServer, gateway: Gateway, settings: GatewaySettings
) -> None:
    first, server.key, stranger = (
        server.key,
        Ed25519PrivateKey.generate(),
        Ed25519PrivateKey.generate(),
    )
    server.keys = [published(server.key, stranger), published(stranger), published(first)]
    desire(hub, server.order("j1", APP))
    assert "bad_signature" in await ends(hub, "j1", "rejected")
    assert server.served == []
    server.keys = [published(server.key, first), published(first)]
    desire(hub, server.order("j2", APP))
    await ends(hub, "j2", "succeeded")
    asked = server.key_requests
    await gateway.kill()
    async with running(Gateway(settings)):  # what it learned it keeps
        desire(hub, server.order("j3", APP))
        await ends(hub, "j3", "succeeded")
    assert server.key_requests == asked


def _has(gateway: Gateway, settings: object) -> bool:
    return bool(json.loads(gateway.app.settingsRead()) == settings)
