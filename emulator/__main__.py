"""`python -m emulator`: Azure on this machine, from settings in the environment."""

import asyncio
import errno
import logging
import sys
from collections.abc import Callable

from aiohttp.http_exceptions import HttpProcessingError
from pydantic import ValidationError

from emulator.blob.azurite import AzuriteMissingError
from emulator.server import run
from emulator.settings import EmulatorSettings
from emulator.state_lock import StateInUseError

try:
    import uvloop

    LOOP_FACTORY: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
except ImportError:  # Windows: asyncio's own loop
    LOOP_FACTORY = asyncio.new_event_loop


def main() -> int:
    """Serve until a signal comes; prints `ready` once every listener listens."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("aiohttp.server").addFilter(_shorten_bad_requests)
    try:
        settings = EmulatorSettings()
    except ValidationError as problem:
        for error in problem.errors(include_input=False):
            name = "_".join(map(str, error["loc"])).upper()
            print(f"MYMOTE_EMULATOR_{name}: {error['msg']}", file=sys.stderr)
        return 2
    try:
        with asyncio.Runner(loop_factory=LOOP_FACTORY) as runner:
            runner.run(run(settings, on_ready=lambda: print("ready", flush=True)))
    except (AzuriteMissingError, StateInUseError, OSError) as problem:
        print(f"The local Azure cannot start: {problem}", file=sys.stderr)
        if isinstance(problem, OSError) and problem.errno == errno.EADDRINUSE:
            advice = "Stop the program that has the port, or move ours: MYMOTE_EMULATOR_*_PORT"
            print(advice, file=sys.stderr)
        return 1
    return 0


def _shorten_bad_requests(record: logging.LogRecord) -> bool:
    """What is not HTTP is answered with 400 and is worth one line, not a traceback."""
    if record.exc_info and isinstance(record.exc_info[1], HttpProcessingError):
        reason = " ".join(str(record.exc_info[1]).split())[:200]
        record.msg, record.args, record.exc_info = "refused a request: %s", (reason,), None
        record.levelno, record.levelname = logging.INFO, "INFO"
    return True


if __name__ == "__main__":
    sys.exit(main())
