"""Faults of updates: switched on as a person does, told with their reason, and got over."""

import asyncio
import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from typer.testing import CliRunner

from tests.x400.gateways import until
from tests.x400.local_hub import Hub
from tests.x400.ota_server import OtaServer
from tests.x400.updates import APP, FIRMWARE, desire, ends, reported, runs
from x400.cli import app
from x400.control_server import ControlServer
from x400.gateway import Gateway
from x400.settings import GatewaySettings

Command = Callable[..., Awaitable[str]]


@pytest.fixture
async def fault(updated: Gateway, settings: GatewaySettings) -> AsyncIterator[Command]:
    """`python -m x400 fault …`, in a thread, by the real control socket."""
    control = ControlServer(settings.state, {updated.credentials.device_id: updated})
    await control.start()

    async def run(*arguments: str, command: str = "fault", code: int = 0) -> str:
        line = [command, *arguments, "--state", str(settings.state)]
        result = await asyncio.to_thread(CliRunner().invoke, app, line, env={"COLUMNS": "200"})
        assert result.exit_code == code, result.output
        return " ".join(result.output.split())

    yield run
    await control.stop()


async def test_a_cut_download_goes_on_where_it_stopped(
    hub: Hub, server: OtaServer, fault: Command
) -> None:
    assert await fault("cut-download", "--at", "40") == "Faults: cut-download at 40 % (once)."
    desire(hub, server.order("j1", APP))
    assert await ends(hub, "j1", "succeeded") == ""
    assert [one.start for one in server.served] == [0, len(APP) * 40 // 100]
    assert await fault("show") == "Faults: none."


async def test_a_download_that_is_always_cut_is_given_up(
    hub: Hub, server: OtaServer, fault: Command, settings: GatewaySettings
) -> None:
    await fault("cut-download", "--at", "40", "--times", "100")
    desire(hub, server.order("j1", APP))
    tries = settings.ota_tries
    said = f"download_failed: the connection was cut; {tries} tries in a row got no further"
    assert await ends(hub, "j1", "failed") == said
    assert [one.start for one in server.served] == [0] + [len(APP) * 40 // 100] * tries
    await fault("off")
    desire(hub, server.order("j1", APP))
    await ends(hub, "j1", "succeeded")
    assert server.served[-1].start == len(APP) * 40 // 100


async def test_a_corrupt_byte_is_found_and_all_is_fetched_again(
    hub: Hub, server: OtaServer, fault: Command
) -> None:
    assert await fault("corrupt", "--times", "2") == "Faults: corrupt (2 times)."
    for job in ("j1", "j2"):
        desire(hub, server.order(job, APP))
        said = await ends(hub, job, "failed")
        assert said.startswith("md5_mismatch: ")
        assert base64.b64encode(hashlib.md5(APP).digest()).decode() in said
    desire(hub, server.order("j2", APP))
    await ends(hub, "j2", "succeeded")
    assert [one.start for one in server.served] == [0, 0, 0]
    await runs(hub, "Pump watch", "2.0.0")


async def test_a_failed_installation_needs_no_second_download(
    hub: Hub, server: OtaServer, fault: Command
) -> None:
    assert await fault("fail-install") == "Faults: fail-install (until switched off)."
    desire(hub, server.order("j1", APP))
    said = "install_failed: the memory for the app could not be written; the old one runs"
    assert await ends(hub, "j1", "failed") == said
    assert "App update failed, job j1: install_failed" in await fault(command="status")
    await runs(hub, "first sketch", "1.0.0")
    await fault("off")
    desire(hub, server.order("j1", APP))
    await ends(hub, "j1", "succeeded")
    await runs(hub, "Pump watch", "2.0.0")
    assert len(server.served) == 1


@pytest.mark.parametrize(("kind", "binary"), [("app", APP), ("firmware", FIRMWARE)])
async def test_power_lost_while_installing_leaves_the_old_one(
    hub: Hub, server: OtaServer, updated: Gateway, fault: Command, kind: str, binary: bytes
) -> None:
    await fault("power-loss")
    desire(hub, server.order("j1", binary, kind), kind)
    said = f"power_lost: seen at the start after it; the old {kind} runs"
    assert await ends(hub, "j1", "failed", kind) == said
    await updated.until_delivered()
    events = [json.loads(body) for body in hub.bodies("management")]
    assert {"event": "started", "detail": "the power came back"} in events
    assert updated.core.fwversion == "1.0.0"
    assert updated.core.app_name_and_version() == "first sketch 1.0.0"
    desire(hub, server.order("j1", binary, kind), kind)
    await ends(hub, "j1", "succeeded", kind)
    assert len(server.served) == 1


async def test_a_gateway_that_never_answers_does_once_it_is_mended(
    hub: Hub, server: OtaServer, updated: Gateway, fault: Command
) -> None:
    await fault("never-answer")
    order = server.order("j1", APP)
    desire(hub, order)
    await until(lambda: updated.core.twin.desired.get("ota_app") == order)
    assert not reported(hub)
    assert not server.served
    updated.reset("which mends nothing")
    await until(lambda: updated.resets == 1)
    await updated.until_connected()
    assert "Faults never-answer (until switched off)" in await fault(command="status")
    await fault("off")
    desire(hub, server.order("j1", APP))
    await ends(hub, "j1", "succeeded")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["flood"], "there are cut-download, corrupt"),
        (["cut-download", "--at", "100"], "0 to 99"),
        (["corrupt", "--at", "4"], "cut-download only"),
        (["corrupt", "--times", "0"], "from 1"),
    ],
)
async def test_a_wrong_fault_is_refused(fault: Command, line: list[str], words: str) -> None:
    assert words in await fault(*line, code=1)
    assert await fault("show") == "Faults: none."
