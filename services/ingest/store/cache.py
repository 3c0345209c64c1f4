"""Bounded memory of what Cosmos DB holds."""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Hashable, Iterable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class LeastRecentlyUsed(Generic[K, V]):
    """A mapping of at most `size` entries; the one that was not used for longest goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)

    def drop(self, key: K) -> None:
        self._entries.pop(key, None)

    def __len__(self) -> int:
        return len(self._entries)


class ReadThrough(Generic[K, V]):
    """A cache that reads what it misses in one go, and that a change feed keeps right.

    A value that was read while the feed brought a change of it may be the older one: it is used
    once and not kept. `keep` says which values may be kept at all.
    """

    def __init__(
        self,
        size: int,
        read: Callable[[Collection[K]], Awaitable[Mapping[K, V]]],
        keep: Callable[[V], bool] = lambda _value: True,
        merge: Callable[[V, V], V] = lambda _known, changed: changed,
    ) -> None:
        self._entries: LeastRecentlyUsed[K, V] = LeastRecentlyUsed(size)
        self._read = read
        self._keep = keep
        self._merge = merge
        self._reads: dict[object, set[K]] = {}  # what changed during each read under way
        self.hits = 0
        self.misses = 0

    async def get(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of the keys that have one."""
        found: dict[K, V] = {}
        missing: list[K] = []
        for key in keys:
            value = self._entries.get(key)
            if value is None:
                missing.append(key)
            else:
                found[key] = value
        self.hits += len(found)
        self.misses += len(missing)
        if missing:
            found.update(await self._fetch(missing))
        return found

    async def _fetch(self, missing: list[K]) -> Mapping[K, V]:
        changed: set[K] = set()
        this = object()  # sets that are equal are not the same
        self._reads[this] = changed
        try:
            values = await self._read(missing)
        finally:
            del self._reads[this]
        for key, value in values.items():
            if key not in changed and self._keep(value):
                self._entries.put(key, value)
        return values

    def changed(self, key: K, value: V) -> None:
        """A newer value, as the change feed or our own write brings it."""
        for read in self._reads.values():
            read.add(key)
        known = self._entries.get(key)
        if known is None:
            return
        value = self._merge(known, value)
        if self._keep(value):
            self._entries.put(key, value)
        else:
            self._entries.drop(key)

    def drop(self, key: K) -> None:
        """Forget a value, so that the next use reads it again."""
        for read in self._reads.values():
            read.add(key)
        self._entries.drop(key)
