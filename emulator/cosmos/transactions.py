"""One atomic change of a container: a single write or a transactional batch.

All of a transaction's writes share a logical sequence number, as in Azure: a page of the
change feed never ends inside a batch.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from emulator.cosmos.containers import Container
from emulator.store import Store


@dataclass
class Transaction:
    """Writes to one container that take effect together or not at all."""

    container: Container
    lsn: int
    now: float  # Unix seconds
    writes: int = 0

    @property
    def ts(self) -> int:
        return self.container.ts

    def next_etag(self) -> str:
        """A new ETag, in quotes, unlike any that the container gave out before."""
        self.writes += 1
        return f'"{self.lsn:08x}-{self.writes:04x}-0000-0000-{self.ts:08x}0000"'

    def next_item(self) -> int:
        self.container.last_item += 1
        return self.container.last_item


@contextmanager
def transaction(store: Store, container: Container) -> Iterator[Transaction]:
    """Keep the writes made inside, or none of them where the block raises."""
    before = container.lsn, container.last_item, container.ts
    now = time.time()
    container.lsn += 1
    container.ts = max(container.ts, int(now))
    store.write("SAVEPOINT cosmos")
    try:
        yield Transaction(container, container.lsn, now)
        store.write(
            "UPDATE cosmos_containers SET lsn = ?, last_item = ?, ts = ? WHERE number = ?",
            (container.lsn, container.last_item, container.ts, container.number),
        )
    except BaseException:
        container.lsn, container.last_item, container.ts = before
        store.write("ROLLBACK TO cosmos")
        store.write("RELEASE cosmos")
        raise
    store.write("RELEASE cosmos")
