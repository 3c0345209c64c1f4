"""What a process costs, as Linux accounts for it."""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SAMPLE_SECONDS = 0.1
ESTABLISHED = "01"
MIB = 1024 * 1024


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads so far, user and system; it counts in steps of 10 ms."""
    # The name in parentheses may hold spaces; utime and stime are fields 14 and 15 of the line.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mib(pid: int) -> float:
    """What is resident now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def connections(pid: int, port: int) -> int:
    """Established TCP connections of a process to a port."""
    mine = _sockets(pid)
    count = 0
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            remote, state, inode = fields[2], fields[3], fields[9]
            if (
                state == ESTABLISHED
                and inode in mine
                and int(remote.rpartition(":")[2], 16) == port
            ):
                count += 1
    return count


def sockets(pid: int) -> int:
    """Those that a process holds, whatever their state."""
    return len(_sockets(pid))


def _sockets(pid: int) -> set[str]:
    """Their inodes."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            target = os.readlink(descriptor)
            if target.startswith("socket:["):
                found.add(target[len("socket:[") : -1])
    return found


def queued_seconds(pid: int) -> float:
    """How long a process's threads and children could have run while others did; Linux counts."""
    queued = 0.0
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        with suppress(OSError):  # it has just ended
            queued += int((thread / "schedstat").read_text().split()[1]) / 1e9
            children = (thread / "children").read_text().split()
            queued += sum(queued_seconds(int(each)) for each in children)
    return queued


@dataclass
class Peaks:
    """The most that was seen in samples, ten a second."""

    connections: int = 0
    memory_mib: float = 0.0


@asynccontextmanager
async def watched(pid: int, port: int) -> AsyncIterator[Peaks]:
    """Samples a process's connections to a port, and its memory, to the end of the block."""
    peaks = Peaks()

    def look() -> None:
        peaks.connections = max(peaks.connections, connections(pid, port))
        peaks.memory_mib = max(peaks.memory_mib, memory_mib(pid))

    async def watch() -> None:
        while True:
            look()
            await asyncio.sleep(SAMPLE_SECONDS)

    watching = asyncio.create_task(watch())
    try:
        yield peaks
        look()
    finally:
        watching.cancel()


@dataclass
class Spent:
    """CPU and wall time between two moments, in seconds."""

    cpu: float = 0.0
    wall: float = 0.0


@asynccontextmanager
async def measured(pid: int) -> AsyncIterator[Spent]:
    """What a process spends within the block."""
    spent = Spent()
    cpu, began = cpu_seconds(pid), time.monotonic()
    yield spent
    spent.cpu, spent.wall = cpu_seconds(pid) - cpu, time.monotonic() - began
