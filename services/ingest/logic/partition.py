"""What this process knows of a partition of the stream that it works on."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime

from services.ingest import metrics
from services.ingest.store.cache import LeastRecentlyUsed
from services.ingest.store.ledgers import LedgerStore, PartitionLost
from shared.schemas.documents import Gateway, Ledger, Position, Redelivery


class Partition:
    """The committed state of a partition, and the only way to commit more.

    Whoever changes it works alone with it (`working`); it is read when first worked with, and
    again after an error.
    """

    def __init__(self, stream: str, store: LedgerStore, cache_size: int) -> None:
        self.stream = stream  # "{event hub}/{number}"
        self.committed = Position(
            partition=stream,
            sequence_number=-1,
            offset="",
            enqueued_at=datetime.min.replace(tzinfo=UTC),
        )
        self.waiting: set[str] = set()  # devices of which messages wait for the first owner
        self.unchecked: set[str] = set()  # those of them whose gateway is to be looked at
        self.attention = asyncio.Event()  # there is something to do besides the events
        self._store = store
        self._lock = asyncio.Lock()
        self._cache_size = cache_size
        self._ledgers: LeastRecentlyUsed[str, Ledger] = LeastRecentlyUsed(cache_size)
        self._etag = ""
        self._stale = True

    @property
    def position(self) -> int:
        """The sequence number of the last committed event, -1 where there is none."""
        return self.committed.sequence_number

    @property
    def held(self) -> Mapping[str, int]:
        """The held accounts, and the sequence number of the first message held back."""
        return self.committed.held

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Alone with the partition, which is as it was committed last."""
        async with self._lock:
            try:
                if self._stale:
                    await self._read()
                yield
            except BaseException:
                self._stale = True
                raise

    async def read(self) -> None:
        """Read what is committed, unless it is known."""
        if self._stale:
            async with self.working():
                return

    async def ledgers(self, devices: Iterable[str]) -> dict[str, Ledger]:
        """The ledgers of those devices that have one. Raises PartitionLost.

        They are of the committed position and of no later one: a newer ledger would have a
        message pass for repeated that another process has parked since, and the next one
        overtake it.
        """
        wanted = set(devices)
        known = {
            device_id: ledger
            for device_id in wanted
            if (ledger := self._ledgers.get(device_id)) is not None
        }
        missing = wanted - known.keys()
        metrics.CACHE.labels("ledgers", "hit").inc(len(known))
        metrics.CACHE.labels("ledgers", "miss").inc(len(missing))
        if not missing:
            return known
        found = await self._store.ledgers(self.stream, missing)
        await self.check()
        return known | found

    async def check(self) -> None:
        """Raises PartitionLost where another process has committed.

        What was read before belongs to this position then, and to no later one.
        """
        _, etag = await self._store.committed(self.stream)
        if etag != self._etag:
            raise PartitionLost(self.stream)

    async def commit(
        self,
        position: Position,
        ledgers: Mapping[str, Ledger] | None = None,
        orders: Sequence[Redelivery] = (),
    ) -> None:
        """Commit effects, and that orders are carried out. Raises PartitionLost."""
        ledgers = ledgers or {}
        self._etag = await self._store.commit(self._etag, position, ledgers, orders)
        began_to_be_held = position.held.keys() - self.committed.held.keys()
        self.committed = position
        metrics.HELD.labels(self.stream).set(len(position.held))
        for device_id, ledger in ledgers.items():
            self._ledgers.put(device_id, ledger)
            if ledger.waiting and device_id not in self.waiting:
                # A pairing may have been told of before the device was known to wait.
                self.waiting.add(device_id)
                self.unchecked.add(device_id)
            elif not ledger.waiting:
                self.waiting.discard(device_id)
        if began_to_be_held or self.unchecked:
            self.attention.set()

    def let_go(self) -> None:
        """The partition is not this process's any more: nothing is measured of it."""
        for gauge in (metrics.HELD, metrics.LAG):
            with suppress(KeyError):
                gauge.remove(self.stream)

    def told(self, gateway: Gateway) -> None:
        """A gateway's document changed."""
        if gateway.pairings and gateway.device_id in self.waiting:
            self.unchecked.add(gateway.device_id)
            self.attention.set()

    async def _read(self) -> None:
        committed, etag = await self._store.committed(self.stream)
        self.committed = committed or self.committed
        self._etag = etag
        self._ledgers = LeastRecentlyUsed(self._cache_size)
        self.waiting = await self._store.waiting(self.stream)
        self.unchecked = set(self.waiting)
        metrics.HELD.labels(self.stream).set(len(self.held))
        self._stale = False
