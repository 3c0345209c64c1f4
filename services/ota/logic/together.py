"""What many want to know at the same time, asked for in one call."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

MOST = 100  # keys of a call


@dataclass
class Together(Generic[K, V]):
    """Reads values by their keys. What `read` raises, all raise whose keys were in that call.

    One call is under way at a time, and whoever comes meanwhile is in the next: what is answered
    was read after it was asked for.
    """

    read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]
    _wanted: dict[K, asyncio.Future[V | None]] = field(default_factory=dict)
    _reading: asyncio.Task[None] | None = None

    async def get(self, key: K) -> V | None:
        """None where there is none."""
        if key not in self._wanted:
            future = asyncio.get_running_loop().create_future()
            # Whoever asked may have hung up, and nobody asks then how it ended.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._wanted[key] = future
        coming = asyncio.shield(self._wanted[key])
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await coming

    async def _read(self) -> None:
        try:
            while self._wanted:
                some = dict(islice(self._wanted.items(), MOST))
                for key in some:
                    del self._wanted[key]
                await self._answer(some)
        finally:
            self._reading = None

    async def _answer(self, some: Mapping[K, asyncio.Future[V | None]]) -> None:
        try:
            found = await self.read(list(some))
        except Exception as error:  # each of them raises it
            for future in some.values():
                future.set_exception(error)
            return
        for key, future in some.items():
            future.set_result(found.get(key))
