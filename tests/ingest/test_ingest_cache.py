"""The read-through cache: what changes while it is read is never kept as it was."""

import asyncio
from collections.abc import Collection

from services.ingest.store.cache import ReadThrough


class Source:
    """Values that are read at once and told when the test says so."""

    def __init__(self) -> None:
        self.values = {"a": 1, "b": 1}
        self.reading: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def read(self, keys: Collection[str]) -> dict[str, int]:
        found = {key: self.values[key] for key in keys}
        told = asyncio.Event()
        self.reading.put_nowait(told)
        await told.wait()
        return found


async def test_reads_side_by_side_each_notice_what_changes() -> None:
    source = Source()
    cache = ReadThrough(10, source.read)
    first = asyncio.create_task(cache.get(["a"]))
    first_read = await source.reading.get()
    second = asyncio.create_task(cache.get(["b"]))
    second_read = await source.reading.get()
    second_read.set()
    assert await second == {"b": 1}
    source.values["a"] = 2
    cache.changed("a", 2)
    first_read.set()
    assert await first == {"a": 1}  # used once, and not kept
    again = asyncio.create_task(cache.get(["a", "b"]))
    (await source.reading.get()).set()
    assert await again == {"a": 2, "b": 1}
    assert (cache.hits, cache.misses) == (1, 3)
