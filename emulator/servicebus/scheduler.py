"""One timer for everything in Service Bus that happens later."""

import asyncio
import heapq
import itertools
import logging
import time
from collections.abc import Callable

log = logging.getLogger(__name__)

Clock = Callable[[], int]

MAX_SLEEP_S = 3600.0


def now_ms() -> int:
    """Unix time in milliseconds."""
    return time.time_ns() // 1_000_000


class Scheduler:
    """Calls back at times of a millisecond clock; any number of callers share one timer."""

    def __init__(self, clock: Clock = now_ms) -> None:
        self.clock = clock
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def at(self, when: int, callback: Callable[[], None]) -> None:
        """Call back once the clock shows `when`. Cannot be taken back."""
        heapq.heappush(self._heap, (when, next(self._order), callback))
        if self._heap[0][2] is callback:
            self._arm()

    def run_due(self) -> None:
        """Call back everything whose time has come; what that adds waits for the next turn."""
        now = self.clock()
        due = []
        while self._heap and self._heap[0][0] <= now:
            due.append(heapq.heappop(self._heap)[2])
        for callback in due:
            try:
                callback()
            except Exception:
                log.exception("servicebus: something due failed")
        self._arm()

    def close(self) -> None:
        """Call nobody back any more."""
        self._closed = True
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap and not self._closed:
            delay = max(0, self._heap[0][0] - self.clock()) / 1000
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(min(delay, MAX_SLEEP_S), self.run_due)
