"""Downloads and installations that are interrupted, and go on or are told."""

import resource
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme

from tests.x400.gateways import DEVICE_ID, running, until
from tests.x400.local_hub import Hub
from tests.x400.ota_server import OtaServer, public
from tests.x400.updates import APP, FIRMWARE, desire, ends, reported, runs, sketch, told
from x400.gateway import Gateway
from x400.settings import GatewaySettings
from x400.store import Store


@pytest.fixture
def full_at() -> Iterator[Callable[[int], None]]:
    """Let no file of this process grow past so many bytes: the nearest to a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("how", ["reset", "kill", "unplug", "cut by the server"])
async def test_a_download_goes_on_at_its_byte(
    hub: Hub, server: OtaServer, updated: Gateway, settings: GatewaySettings, how: str
) -> None:
    server.flowing.clear()
    if how == "cut by the server":
        server.trouble.cuts = [100_000, 0, 50_000]
        server.flowing.set()
    desire(hub, server.order("j1", APP))
    await until(lambda: bool(server.served))
    if how == "reset":
        await until(lambda: reported(hub).get("percent") == 50)
        updated.reset("by hand")
        await until(lambda: updated.resets == 1)
        await updated.until_connected()
    elif how == "kill":
        await until(lambda: reported(hub).get("percent") == 50)
        await updated.kill()
        await updated.start()
    elif how == "unplug":
        await until(lambda: reported(hub).get("percent") == 50)
        updated.unplug()
        server.flowing.set()
        await until(lambda: server.served[0].over)
        updated.plug()
    server.flowing.set()
    await ends(hub, "j1", "succeeded")
    starts = [one.start for one in server.served]
    assert starts == ([0, 100_000, 100_000, 150_000] if "cut" in how else [0, 100_001])


async def test_a_fresh_ticket_that_came_while_the_former_was_refused_is_used(
    hub: Hub, server: OtaServer, updated: Gateway
) -> None:
    server.trouble.statuses = [403]
    server.flowing.clear()
    desire(hub, server.order("j1", APP))
    await until(lambda: bool(server.served))
    fresh = server.order("j1", APP)
    desire(hub, fresh)
    await until(lambda: updated.core.twin.desired["ota_app"] == fresh)
    server.flowing.set()
    assert await ends(hub, "j1", "succeeded") == ""
    assert [one.status for one in server.served] == [403, 200]


async def test_a_gateway_that_cannot_any_more_rejects_what_was_under_way(
    hub: Hub, server: OtaServer, updated: Gateway, settings: GatewaySettings
) -> None:
    server.flowing.clear()
    desire(hub, server.order("j1", APP))
    await until(lambda: reported(hub).get("percent") == 50)
    await updated.kill()
    async with running(Gateway(settings.model_copy(update={"ota_app_bytes": 1000}))):
        assert "too_large: " in await ends(hub, "j1", "rejected")


async def test_a_full_disk_is_told_and_leaves_messages_the_room(
    hub: Hub, server: OtaServer, updated: Gateway, full_at: Callable[[int], None]
) -> None:
    full_at(600_000)
    desire(hub, server.order("j1", FIRMWARE, "firmware"), "firmware")
    said = "download_failed: the gateway cannot keep the file: File too large"
    assert await ends(hub, "j1", "failed", "firmware") == said
    assert not list(updated.settings.state.glob("*.bin"))
    updated.app.sendMessage("there is room")
    await hub.until_last(b"there is room")


async def test_a_server_without_ranges_is_asked_from_the_beginning(
    hub: Hub, server: OtaServer, updated: Gateway
) -> None:
    server.ranges = False
    server.trouble.cuts = [150_000]
    desire(hub, server.order("j1", APP))
    assert await ends(hub, "j1", "succeeded") == ""
    assert [one.start for one in server.served] == [0, 0]


async def test_a_server_that_never_gets_further_is_given_up(
    hub: Hub, server: OtaServer, updated: Gateway, settings: GatewaySettings
) -> None:
    server.ranges = False
    server.trouble.cuts = [150_000] * 20
    desire(hub, server.order("j1", APP))
    assert "got no further" in await ends(hub, "j1", "failed")
    assert len(server.served) == 1 + settings.ota_tries


async def test_a_slow_download_is_told_now_and_then(
    hub: Hub, server: OtaServer, updated: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("x400.ota_update.REPORT_SECONDS", 0.0)
    server.hold_at = 0.2
    server.flowing.clear()
    desire(hub, server.order("j1", APP))
    await until(lambda: reported(hub).get("percent") == 20)


async def test_a_slow_network(hub: Hub, server: OtaServer, settings: GatewaySettings) -> None:
    slow = settings.model_copy(update={"ota_bytes_per_second": 1_000_000})
    async with running(Gateway(slow)):
        began = time.monotonic()
        desire(hub, server.order("j1", APP))
        await ends(hub, "j1", "succeeded")
        assert time.monotonic() - began > len(APP) / 1_000_000


async def test_a_kill_while_installing_leaves_the_old_app(
    hub: Hub, server: OtaServer, settings: GatewaySettings
) -> None:
    patient = settings.model_copy(update={"install_time": 60})
    async with running(Gateway(patient, sketch=sketch)) as gateway:
        desire(hub, server.order("j1", APP))
        await until(lambda: reported(hub).get("state") == "installing")
        desire(hub, server.order("j2", APP, version="3.0.0"))  # waits for the end of this one
        await until(lambda: gateway.core.twin.desired["ota_app"]["job"] == "j2")
        assert reported(hub)["job"] == "j1"
    desire(hub, server.order("j1", APP))
    async with running(Gateway(settings, sketch=sketch)) as gateway:
        assert gateway.core.updates.reports()["ota_app"]["error"].startswith("power_lost: ")
        await ends(hub, "j1", "succeeded")
        await runs(hub, "Pump watch", "2.0.0")
    assert len(server.served) == 1


@pytest.mark.parametrize("lost", [False, True])
async def test_what_was_not_told_before_a_kill_is_told_after_it(
    hub: Hub, server: OtaServer, settings: GatewaySettings, lost: bool
) -> None:
    patient = settings.model_copy(update={"install_time": 0.3})
    async with running(Gateway(patient)) as gateway:
        desire(hub, server.order("j1", APP))
        await told(hub, "installing")
        gateway.unplug()
        await until(lambda: gateway.core.updates.reports()["ota_app"]["state"] == "succeeded")
    if lost:  # the kill came between the store's two transactions
        store = Store(settings.state / f"{DEVICE_ID}.db", "normal")
        store.set_note("reported_pending", {})
        store.close()
    async with running(Gateway(settings)):
        await ends(hub, "j1", "succeeded")
        await runs(hub, "Pump watch", "2.0.0")


async def test_https_with_a_ca_of_its_own(
    hub: Hub, settings: GatewaySettings, tmp_path: Path
) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    server = OtaServer()
    await server.start(tls)
    trusting = settings.model_copy(update={"ota_public_keys": [public(server.key)], "ota_tries": 1})
    async with running(Gateway(trusting)):
        desire(hub, server.order("j1", APP))
        assert "CERTIFICATE_VERIFY_FAILED" in await ends(hub, "j1", "failed")
    right = trusting.model_copy(update={"ota_ca_file": tmp_path / "ca.pem"})
    async with running(Gateway(right)):
        desire(hub, server.order("j1", APP))
        await ends(hub, "j1", "succeeded")
    await server.close()
