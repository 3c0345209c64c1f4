"""Asking storage once for all who want to know at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from services.ota.logic.chunks import Blob


@dataclass
class Checks:
    """Whether blobs are as they were stored. What `look` raises, `check` raises."""

    look: Callable[[Blob], Awaitable[None]]
    _running: dict[Blob, asyncio.Task[None]] = field(default_factory=dict)
    _next: dict[Blob, asyncio.Task[None]] = field(default_factory=dict)

    async def check(self, blob: Blob) -> None:
        """As `look`, by a look that began after this call did: an earlier one may be outdated."""
        coming = self._next.get(blob)
        if coming is None:
            coming = asyncio.create_task(self._look(blob, self._running.get(blob)))
            coming.add_done_callback(_retrieved)
            self._next[blob] = coming
        await asyncio.shield(coming)

    async def _look(self, blob: Blob, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        mine = self._running[blob] = self._next.pop(blob)
        try:
            await self.look(blob)
        finally:
            if self._running[blob] is mine:
                del self._running[blob]


def _retrieved(task: asyncio.Task[None]) -> None:
    """All who waited may have hung up, and nobody asks then how it ended."""
    if not task.cancelled():
        task.exception()
