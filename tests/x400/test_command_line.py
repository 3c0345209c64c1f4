"""`python -m x400` as a person uses it: real processes, the control socket, the demo app."""

import asyncio
import json
import os
import re
import signal
import stat
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.x400.gateways import DEVICE_ID, DEVICE_KEY, until
from tests.x400.local_hub import Hub
from x400.cli import app

ROOT = Path(__file__).parents[2]


class Cli:
    """Runs `python -m x400` with one state directory."""

    def __init__(self, hub: Hub, state: Path) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MYMOTE_")}
        self.state = state
        self.environment = kept | {
            "MYMOTE_X400_STATE": str(state),
            "MYMOTE_X400_PLAIN": "1",
            "MYMOTE_X400_CONNECTION_STRING": hub.connection_string(DEVICE_ID),
            "MYMOTE_X400_DEVICE_KEY": DEVICE_KEY,
            "MYMOTE_X400_BACKOFF_INITIAL": "0.1",
            "MYMOTE_X400_ACKNOWLEDGEMENT_LOG": str(state.parent / "acknowledged.jsonl"),
            "COLUMNS": "200",
            "PYTHONPATH": str(ROOT),
        }

    async def spawn(self, *arguments: str) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "x400",
            *arguments,
            env=self.environment,
            stdout=PIPE,
            stderr=STDOUT,
        )

    async def __call__(self, *arguments: str, code: int = 0) -> str:
        """A command that asks the running gateway; in a thread, which starts at once."""
        result = await asyncio.to_thread(
            CliRunner().invoke, app, arguments, env=self.environment, prog_name="python -m x400"
        )
        assert result.exit_code == code, result.output
        return result.output

    async def process(self, *arguments: str, code: int = 0) -> str:
        process = await self.spawn(*arguments)
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == code, output.decode()
        return output.decode()

    @asynccontextmanager
    async def running(self, *arguments: str) -> AsyncIterator[Process]:
        process = await self.spawn(*(arguments or ("run",)))
        try:
            socket = self.state / "control.sock"
            await until(lambda: socket.exists() or process.returncode is not None, 60)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    def mids(self, fate: str) -> list[int]:
        """The app's messages that the acknowledgement log has under a fate."""
        lines = (self.state.parent / "acknowledged.jsonl").read_text().splitlines(keepends=True)
        records = [json.loads(line) for line in lines if line.endswith("\n")]
        return [r["mid"] for r in records if r["fate"] == fate and r["kind"] == "data"]


@pytest.fixture
def cli(hub: Hub, tmp_path: Path) -> Cli:
    return Cli(hub, tmp_path / "state")


def count(name: str, status: str) -> int:
    """A number that `status` shows."""
    found = re.search(rf"{name} +(\d+)", status)
    assert found, status
    return int(found.group(1))


async def test_a_person_uses_a_running_gateway(hub: Hub, cli: Cli) -> None:
    async with cli.running() as process:
        first = json.loads((await hub.until_bodies(1))[0])
        assert first["cause"] == "timer"
        assert {"temperature", "humidity"} <= first.keys()

        assert "Stored message" in await cli.process("press")
        # The app's own readings come between, every 10 s.
        await until(lambda: "button" in [json.loads(body)["cause"] for body in hub.bodies()])

        await cli("notify", "--level", "alarm", "Flood")
        assert await hub.until_bodies(1, "notification") == [b"Flood"]
        assert "101 bytes" in await cli("notify", "x" * 101, code=1)

        shown = await cli("status")
        assert "green fixed" in shown
        assert DEVICE_ID in shown
        assert count("Messages today", shown) >= 2

        await cli("unplug")
        assert "red blinking" in await cli("status")
        assert "Stored message" in await cli("press")
        shown = await cli("status")
        assert count("Pending", shown) >= 1
        await cli("plug")
        await hub.until_bodies(count("Messages today", shown))

        hub.send(DEVICE_ID, b'{"hello": "gateway"}', "m")
        await until(lambda: hub.waiting(DEVICE_ID) == 0)
        assert '{"hello": "gateway"}' in await cli("messages")

        await cli("reboot")
        events = [json.loads(b)["event"] for b in await hub.until_bodies(2, "management")]
        assert events == ["started", "rebooted"]
        assert stat.S_IMODE((cli.state / "control.sock").stat().st_mode) == 0o600

        process.send_signal(signal.SIGTERM)
        output, _ = await asyncio.wait_for(process.communicate(), 30)
        assert process.returncode == 0
        assert DEVICE_KEY.encode() not in output
        assert hub.connection_string(DEVICE_ID).split("SharedAccessKey=")[1].encode() not in output
    assert "no gateway is running" in await cli("press", code=1)


async def test_a_killed_gateway_goes_on_where_it_stopped(hub: Hub, cli: Cli) -> None:
    async with cli.running() as process:
        await hub.until_bodies(1)
        await cli("unplug")
        for _ in range(3):
            assert "Stored message" in await cli("press")
        process.kill()
        await process.wait()
    assert "no gateway is running" in await cli("status", code=1)
    async with cli.running():
        await hub.until_bodies(5)
        await until(lambda: len(set(cli.mids("acknowledged"))) >= 5)
    taken = {event.mid for event in hub.telemetry}
    assert len(cli.mids("stored")) >= 5
    assert set(cli.mids("stored")) <= taken
    assert set(cli.mids("acknowledged")) <= set(cli.mids("stored"))


async def test_a_second_gateway_on_one_state_is_refused(cli: Cli, hub: Hub) -> None:
    async with cli.running():
        await hub.until_bodies(1)
        assert "already running" in await cli.process("run", code=1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda e: e.pop("MYMOTE_X400_CONNECTION_STRING"), "no connection string"),
        (lambda e: e.update(MYMOTE_X400_CONNECTION_STRING="HostName=x"), "no DeviceId"),
        (lambda e: e.update(MYMOTE_X400_PORT="99999"), "port"),
        (lambda e: e.update(MYMOTE_X400_PLAIN="0", MYMOTE_X400_CA_FILE="/no/ca"), "/no/ca"),
    ],
)
async def test_what_is_wrong_is_said(
    cli: Cli, change: Callable[[dict[str, str]], object], words: str
) -> None:
    change(cli.environment)
    output = await cli.process("run", code=1)
    assert words in output
    assert "Traceback" not in output


async def test_a_fleet_in_one_process(hub: Hub, cli: Cli, tmp_path: Path) -> None:
    hub.register("one")
    hub.register("two")
    file = tmp_path / "fleet"
    file.write_text(f"{hub.connection_string('one')} key-1\n{hub.connection_string('two')} key-2\n")
    async with cli.running("fleet", str(file)):
        await until(lambda: {e.device_id for e in hub.telemetry} >= {"one", "two"})
        assert "--device" in await cli("press", code=1)
        assert "Stored message" in await cli("press", "--device", "two")


async def test_help_explains(cli: Cli) -> None:
    text = await cli.process("--help")
    for word in ("press", "notify", "status", "fleet", "make run", "MYMOTE_X400_"):
        assert word in text
