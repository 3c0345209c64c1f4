"""One child process: started with a log file, ended gently, never left behind."""

import asyncio
import ctypes
import os
import signal
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

STOP_SECONDS = 12.0  # ingest drains within 10
LAST_LINES = 15
PR_SET_PDEATHSIG = 1


@dataclass
class Process:
    """A module of ours that runs as `python -m MODULE [ARGUMENTS]`."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log_file: Path
    _child: asyncio.subprocess.Process | None = field(default=None, repr=False)

    async def start(self) -> None:
        """Start it; its output goes to the end of its log file."""
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        with self.log_file.open("ab") as output:
            self._child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                *self.arguments,
                env={**os.environ, **self.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A terminal's Ctrl-C must reach the stack alone, which stops all in order.
                start_new_session=True,
                preexec_fn=_die_with_parent if sys.platform == "linux" else None,
            )

    @property
    def running(self) -> bool:
        return self._child is not None and self._child.returncode is None

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    async def exited(self) -> int:
        """Wait until it ends; its exit code, negative for a signal."""
        assert self._child is not None
        return await self._child.wait()

    async def stop(self) -> None:
        """SIGTERM, and SIGKILL after 12 seconds."""
        child = self._child
        if child is None or child.returncode is not None:
            return
        child.terminate()
        self.resume()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()

    async def kill(self) -> None:
        """SIGKILL, as a power cut would."""
        assert self._child is not None
        self._child.send_signal(signal.SIGKILL)
        await self._child.wait()

    def pause(self) -> None:
        """SIGSTOP, as if its machine stood still; its connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: go on after `pause`."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        if self._child is not None and self._child.returncode is None:
            self._child.send_signal(number)

    def last_lines(self) -> str:
        """The end of its log, for an error message."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open(errors="replace") as lines:
            return "".join(deque(lines, LAST_LINES))


def _die_with_parent() -> None:
    # If the stack itself is killed, its children must not hold the ports.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
