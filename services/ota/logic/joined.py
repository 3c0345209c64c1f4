"""Asking once for all who want to know the same at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


@dataclass
class Joined(Generic[K, V]):
    """Questions to a service behind this one. What `look` raises, `ask` raises."""

    look: Callable[[K], Awaitable[V]]
    _running: dict[K, asyncio.Task[V]] = field(default_factory=dict)
    _next: dict[K, asyncio.Task[V]] = field(default_factory=dict)

    async def ask(self, what: K) -> V:
        """As `look`, by a look that began after this call did: an earlier one may be outdated."""
        coming = self._next.get(what)
        if coming is None:
            coming = asyncio.create_task(self._look(what, self._running.get(what)))
            coming.add_done_callback(_retrieved)
            self._next[what] = coming
        return await asyncio.shield(coming)

    async def _look(self, what: K, before: asyncio.Task[V] | None) -> V:
        if before is not None:
            await asyncio.wait([before])
        self._running[what] = self._next.pop(what)
        try:
            return await self.look(what)
        finally:
            del self._running[what]


def _retrieved(task: asyncio.Task[Any]) -> None:
    """All who waited may have hung up, and nobody asks then how it ended."""
    if not task.cancelled():
        task.exception()
