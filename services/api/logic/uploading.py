"""How many uploads run at once: each keeps a connection to the OTA service as long as its client
takes, and whoever sends slowly must not keep them all."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from shared.errors import TooMany

OF_ONE = 4
OF_ALL = 40  # of the 50 connections (`store/ota.py`): orders need some, too
RETRY_SECONDS = 10


class Uploading:
    """The uploads of this process, by account."""

    def __init__(self) -> None:
        self._running: Counter[str] = Counter()

    @contextmanager
    def one_of(self, user_id: str) -> Iterator[None]:
        """While it runs. Raises TooMany."""
        if self._running[user_id] >= OF_ONE:
            raise TooMany(
                f"{OF_ONE} uploads run for this account already; wait until one has ended.",
                RETRY_SECONDS,
            )
        if self._running.total() >= OF_ALL:
            raise TooMany("Many accounts upload at this moment; try again soon.", RETRY_SECONDS)
        self._running[user_id] += 1
        try:
            yield
        finally:
            self._running[user_id] -= 1
            if not self._running[user_id]:
                del self._running[user_id]
