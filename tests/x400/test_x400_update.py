"""Updates over the air as a gateway carries them out: real MQTT, real HTTP."""

import json
from datetime import UTC, datetime

from pydantic import SecretStr

from tests.x400.gateways import DEVICE_ID, running, until
from tests.x400.local_hub import Hub
from tests.x400.ota_server import OtaServer
from tests.x400.updates import APP, FIRMWARE, desire, ends, reported, runs, sketch, told
from x400.faults import Fault
from x400.gateway import Gateway
from x400.settings import GatewaySettings


async def test_an_app_is_downloaded_installed_and_begins(
    hub: Hub, server: OtaServer, updated: Gateway, settings: GatewaySettings
) -> None:
    await runs(hub, "first sketch", "1.0.0")
    desire(hub, server.order("j1", APP))
    assert await ends(hub, "j1", "succeeded") == ""
    await runs(hub, "Pump watch", "2.0.0")
    assert [(one.start, one.sent) for one in server.served] == [(0, len(APP))]
    assert updated.resets == 0
    assert not list(settings.state.glob("*.bin"))
    await updated.until_delivered()
    events = [json.loads(body) for body in hub.bodies("management")]
    assert events[-1] == {"event": "app_restarted", "detail": "Pump watch 2.0.0 was installed"}

    desire(hub, None)  # over for the cloud
    desire(hub, server.order("j2", APP[:50], version="2.0.1"))
    assert await ends(hub, "j2", "succeeded") == ""
    await runs(hub, "Pump watch", "2.0.1")
    await updated.kill()
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
        gateway.app.begin("mine", 0, 9, 9)
        assert gateway.core.app_name_and_version() == "mine 0.9.9"
        gateway.app.begin("mine", 1, 0, 0)
        desire(hub, server.order("j2", APP, version="2.1.0"))
        await ends(hub, "j2", "succeeded")
        await runs(hub, "Pump watch", "2.1.0")
        gateway.app.begin("mine", 1, 0, 1)
        await runs(hub, "mine", "1.0.1")


async def test_firmware_resets_the_gateway_and_stays(
    hub: Hub, server: OtaServer, updated: Gateway, settings: GatewaySettings
) -> None:
    desire(hub, server.order("j1", FIRMWARE, "firmware", "1.4.0"), "firmware")
    assert await ends(hub, "j1", "succeeded", "firmware") == ""
    await until(lambda: hub.reported(DEVICE_ID)["fwversion"] == "1.4.0")
    assert updated.resets == 1
    await updated.kill()
    async with running(Gateway(settings)) as again:
        assert again.core.fwversion == "1.4.0"
    other = settings.model_copy(update={"fwversion": "3.0.0"})
    async with running(Gateway(other)) as again:
        assert again.core.fwversion == "3.0.0"


async def test_both_kinds_at_once_are_installed_one_after_the_other(
    hub: Hub, server: OtaServer, settings: GatewaySettings
) -> None:
    patient = settings.model_copy(update={"install_time": 0.3})
    async with running(Gateway(patient, sketch=sketch)):
        desire(hub, server.order("f", FIRMWARE, "firmware", "1.4.0"), "firmware")
        await told(hub, "installing", "firmware")
        desire(hub, server.order("a", APP))
        await ends(hub, "f", "succeeded", "firmware")  # which resets the gateway
        await ends(hub, "a", "succeeded")
        await runs(hub, "Pump watch", "2.0.0")
        await until(lambda: hub.reported(DEVICE_ID)["fwversion"] == "1.4.0")


async def test_two_gateways_of_one_process_keep_apart(
    hub: Hub, server: OtaServer, updated: Gateway, settings: GatewaySettings
) -> None:
    hub.register("two")
    text = SecretStr(hub.connection_string("two"))
    updated.core.updates.faults.arm(Fault.FAIL_INSTALL)
    server.flowing.clear()
    async with running(Gateway(settings.model_copy(update={"connection_string": text}))):
        desire(hub, server.order("j1", APP))
        hub.desire("two", {"ota_app": server.order("j2", APP[::-1], version="3.0.0")})
        await until(lambda: len(server.served) == 2)
        server.flowing.set()
        await ends(hub, "j1", "failed")
        await until(lambda: hub.reported("two").get("app_version") == "3.0.0")
    assert hub.reported(DEVICE_ID)["app_version"] == "1.0.0"


async def test_messages_flow_and_progress_is_reported_while_it_downloads(
    hub: Hub, server: OtaServer, updated: Gateway
) -> None:
    server.flowing.clear()
    desire(hub, server.order("j1", FIRMWARE, "firmware"), "firmware")
    await until(lambda: reported(hub, "firmware").get("percent") == 50)
    assert reported(hub, "firmware")["state"] == "downloading"
    updated.app.sendMessage("meanwhile")
    await hub.until_last(b"meanwhile")
    hub.send(DEVICE_ID, b"to the app", "m")
    await updated.until_user_message()
    assert updated.app.userMessageRead() == b"to the app"
    server.flowing.set()
    await ends(hub, "j1", "succeeded", "firmware")


async def test_a_fresh_ticket_changes_the_address_and_nothing_else(
    hub: Hub, server: OtaServer, updated: Gateway
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
    hub: Hub, server: OtaServer, updated: Gateway, settings: GatewaySettings
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
    hub: Hub, server: OtaServer, updated: Gateway
) -> None:
    server.flowing.clear()
    desire(hub, server.order("j1", APP))
    await until(lambda: reported(hub).get("percent") == 50)
    server.flowing.set()
    desire(hub, server.order("j2", APP[::-1], version="3.0.0"))
    await ends(hub, "j2", "succeeded")
    await runs(hub, "Pump watch", "3.0.0")


async def test_a_newer_order_waits_for_an_installation(
    hub: Hub, server: OtaServer, settings: GatewaySettings
) -> None:
    async with running(Gateway(settings.model_copy(update={"install_time": 0.2}))):
        desire(hub, server.order("j1", APP))
        await told(hub, "installing")
        desire(hub, server.order("j2", APP[::-1], version="3.0.0"))
        await ends(hub, "j2", "succeeded")
    assert hub.reported(DEVICE_ID)["app_version"] == "3.0.0"


async def test_a_new_owner_sees_nothing_of_the_former_ones_order(
    hub: Hub, server: OtaServer, updated: Gateway, settings: GatewaySettings
) -> None:
    server.flowing.clear()
    desire(hub, server.order("j1", APP))
    await until(lambda: reported(hub).get("percent") == 50)
    hub.desire(DEVICE_ID, {"wipe": datetime.now(UTC).isoformat(), "ota_app": None})
    await until(lambda: updated.resets == 1)
    await until(lambda: not reported(hub))
    assert not list(settings.state.glob("*.bin"))
