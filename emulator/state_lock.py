"""One local Azure at a time on a state directory."""

import asyncio
import os
import sys
import time
from pathlib import Path

if sys.platform != "win32":
    import fcntl

LOCK_FILE = "lock"
# Seconds in which an Azurite whose emulator was killed saves its index and ends.
WAIT = 10.0


class StateInUseError(Exception):
    """Another process holds the state directory."""


async def lock_state(state_dir: Path) -> int:
    """A file descriptor that holds the directory until it, and every copy of it, is closed.

    Azurite inherits a copy: when this process is killed, the next one waits until that Azurite
    has saved what it knows. Raises StateInUseError.
    """
    descriptor = os.open(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + WAIT
    while not _try(descriptor):
        if time.monotonic() > deadline:
            os.close(descriptor)
            raise StateInUseError(f"another local Azure uses {state_dir}: stop it first")
        await asyncio.sleep(0.05)
    return descriptor


def _try(descriptor: int) -> bool:
    if sys.platform == "win32":  # has no flock: there only the ports keep a second one away
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
