"""`make run` as a child, and commands in a second terminal."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from stack.demo import Demo, load
from stack.local import NOTHING, LocalStack, StackError
from stack.settings import StackSettings
from tests.load.process import queued_seconds

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 100.0  # a machine that stands still is no failure


@dataclass
class Run:
    """A running `python -m stack`, and what it printed."""

    settings: StackSettings
    child: asyncio.subprocess.Process
    printed: list[str]
    ready_seconds: float = 0.0
    queued_seconds: float = 0.0  # until then; what its processes waited for a processor, in all

    @property
    def demo(self) -> Demo:
        made = load(self.settings.state_dir / "demo.json")
        assert made is not None
        return made

    async def until_printed(self, text: str) -> None:
        assert self.child.stdout is not None
        while not any(text in line for line in self.printed):
            line = await asyncio.wait_for(self.child.stdout.readline(), PATIENCE_SECONDS)
            assert line, f"it ended: {''.join(self.printed)}"
            self.printed.append(line.decode())


def environment(settings: StackSettings) -> dict[str, str]:
    values = {
        f"MYMOTE_STACK_{name.upper()}": str(value) for name, value in settings.model_dump().items()
    }
    values["MYMOTE_X400_STATE"] = str(settings.state_dir / "x400")
    return {**os.environ, **values}


async def start(
    settings: StackSettings, until: str = "Ctrl-C stops", extra: Mapping[str, str] = NOTHING
) -> Run:
    """`extra`: more of its environment."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-u", "-m", "stack"),
        env=environment(settings) | dict(extra),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    started = time.monotonic()
    run = Run(settings, child, [])
    try:
        await run.until_printed(until)
    except BaseException:
        child.terminate()  # nobody else knows of it
        raise
    run.ready_seconds = time.monotonic() - started
    run.queued_seconds = queued_seconds(child.pid)
    return run


async def until_free(settings: StackSettings) -> None:
    """Wait until the processes of a killed stack have let go of its ports."""
    stack = LocalStack.prepare(settings)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            stack.check_ports()
            return
        except StackError:
            assert time.monotonic() < deadline, "processes of a killed stack live on"
            await asyncio.sleep(0.1)


async def press_ctrl_c(run: Run) -> str:
    run.child.send_signal(signal.SIGINT)
    output, _ = await asyncio.wait_for(run.child.communicate(), PATIENCE_SECONDS)
    return output.decode()


async def command(run: Run, *arguments: str) -> str:
    """What a command of ours prints in a second terminal."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", *arguments),
        env=environment(run.settings),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(child.communicate(), PATIENCE_SECONDS)
    assert child.returncode == 0, output.decode()
    return output.decode()


async def get(run: Run, path: str = "") -> Any:
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as client:
        response = await client.get(run.demo.devices_url + path)
    assert response.status_code == 200, response.text
    return response.json()
