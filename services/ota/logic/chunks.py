"""Reading blobs in chunks, each chunk once for all who want it at about the same time.

Two hundred gateways that are sent the same firmware cost Blob Storage one reader, and the memory
that chunks take is bounded: what is kept, what is being read, and two chunks for each download (one
that is being sent, the next).
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

from services.ota.logic.ranges import Part

CHUNK_BYTES = 256 * 1024  # of 64 KiB, a MiB costs half as much CPU again
KEPT_BYTES = 16 * 1024 * 1024
READS_AT_ONCE = 8


@dataclass(frozen=True)
class Blob:
    """A blob as it was stored: `etag` is Blob Storage's. `size` is in bytes."""

    name: str
    etag: str
    size: int


# Reads `length` bytes from `first` on: (blob, first, length).
Read = Callable[[Blob, int, int], Awaitable[bytes]]


@dataclass
class Chunks:
    """A cache of the chunks that were asked for last. What `read` raises, `stream` raises."""

    read: Read
    kept_bytes: int = KEPT_BYTES
    _kept: OrderedDict[tuple[Blob, int], bytes] = field(default_factory=OrderedDict)
    _size: int = 0
    _coming: dict[tuple[Blob, int], asyncio.Task[bytes]] = field(default_factory=dict)
    _turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(READS_AT_ONCE))

    async def stream(self, blob: Blob, part: Part) -> AsyncIterator[memoryview]:
        """The bytes of a part, in pieces of `CHUNK_BYTES` at most."""
        first, end = part.first, part.first + part.length
        while first < end:
            number, offset = divmod(first, CHUNK_BYTES)
            piece = memoryview(await self._chunk(blob, number))[offset : offset + end - first]
            yield piece
            first += len(piece)

    async def _chunk(self, blob: Blob, number: int) -> bytes:
        wanted = (blob, number)
        if (kept := self._kept.get(wanted)) is not None:
            self._kept.move_to_end(wanted)
            return kept
        coming = self._coming.get(wanted)
        if coming is None:
            coming = asyncio.create_task(self._read(blob, number))
            self._coming[wanted] = coming
            coming.add_done_callback(lambda task: self._came(wanted, task))
        # Whoever asked first may hang up; the others still want it.
        return await asyncio.shield(coming)

    async def _read(self, blob: Blob, number: int) -> bytes:
        first = number * CHUNK_BYTES
        async with self._turns:
            return await self.read(blob, first, min(CHUNK_BYTES, blob.size - first))

    def _came(self, wanted: tuple[Blob, int], task: asyncio.Task[bytes]) -> None:
        del self._coming[wanted]
        if task.cancelled() or task.exception() is not None:
            return
        self._kept[wanted] = task.result()
        self._size += len(task.result())
        while self._size > self.kept_bytes:
            _, dropped = self._kept.popitem(last=False)
            self._size -= len(dropped)
