"""Ports for a stack of a test's own."""

import fcntl
import os
import random
import socket
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TextIO

# Below the range that operating systems hand out to outgoing connections, so that none of those
# takes a port between this look and the server's start.
FIRST, LAST = 12_000, 31_000
BLOCK = 200  # what a process has to itself; it takes another one where that is not enough


def free_ports(count: int) -> list[int]:
    """That many ports on 127.0.0.1 which nobody listens on now, and no other test will get."""
    ports = list(islice(filter(_is_free, _mine), count))
    if len(ports) < count:
        raise RuntimeError("no free ports")
    return ports


def _claimed() -> Iterator[int]:
    """Ports of this process alone: others that look for some lock other blocks of them.

    Several workers start their stacks at the same time, seconds before these listen.
    """
    folder = Path(tempfile.gettempdir(), f"mymote-ports-{os.getuid()}")
    folder.mkdir(exist_ok=True)
    starts = range(FIRST, LAST, BLOCK)
    for start in random.sample(starts, len(starts)):
        lock = (folder / str(start)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        _locks.append(lock)
        yield from range(start, start + BLOCK)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_locks: list[TextIO] = []  # held until the process ends
_mine = _claimed()
