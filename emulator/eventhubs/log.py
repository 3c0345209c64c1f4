"""A partition: an append-only log in the store."""

import asyncio
import sqlite3
import time
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from emulator.amqp.message import MESSAGE_ANNOTATIONS, Parts, extend_map
from emulator.amqp.types import Symbol, Timestamp
from emulator.eventhubs.selector import Field, Position
from emulator.store import Store

SCHEMA = (
    """CREATE TABLE IF NOT EXISTS eventhub_partition (
        id INTEGER PRIMARY KEY, hub TEXT NOT NULL, name TEXT NOT NULL, created INTEGER NOT NULL,
        last_sequence INTEGER NOT NULL, last_offset INTEGER NOT NULL,
        last_enqueued INTEGER NOT NULL, UNIQUE (hub, name))""",
    """CREATE TABLE IF NOT EXISTS eventhub_event (
        partition INTEGER NOT NULL, sequence INTEGER NOT NULL, offset INTEGER NOT NULL,
        enqueued INTEGER NOT NULL, message BLOB NOT NULL,
        PRIMARY KEY (partition, sequence)) WITHOUT ROWID""",
)
# Events deleted in one go: the loop is not held longer than for a few milliseconds.
PURGE_STEP = 500

_SEQUENCE = Symbol("x-opt-sequence-number")
_OFFSET = Symbol("x-opt-offset")
_ENQUEUED = Symbol("x-opt-enqueued-time")


class Reader(Protocol):
    """Who wants to know of new events."""

    def pump(self) -> None:
        """There is more to read."""
        ...


@dataclass(frozen=True, slots=True)
class Mark:
    """An event's place: number, byte offset, and milliseconds since the epoch."""

    sequence: int
    offset: int
    enqueued: int


class Partition:
    """Numbers, keeps and hands out the events of one partition.

    Sequence numbers begin at 0 and have no gaps; offsets and times never go back. `last` is what
    was written, `durable` what may be delivered and told.
    """

    def __init__(self, store: Store, hub: str, name: str) -> None:
        self._store = store
        self.name = name
        self.readers: set[Reader] = set()
        self._wake_scheduled = False
        find = "SELECT id, created, last_sequence, last_offset, last_enqueued "
        find += "FROM eventhub_partition WHERE hub = ? AND name = ?"
        row = store.read(find, (hub, name)).fetchone()
        if row is None:
            store.write(
                "INSERT INTO eventhub_partition "
                "(hub, name, created, last_sequence, last_offset, last_enqueued) "
                "VALUES (?, ?, ?, -1, -1, 0)",
                (hub, name, _now()),
            )
            row = store.read(find, (hub, name)).fetchone()
        self._id, self.created, *purged = row
        newest = store.read(
            "SELECT sequence, offset, enqueued, length(message) FROM eventhub_event "
            "WHERE partition = ? ORDER BY sequence DESC LIMIT 1",
            (self._id,),
        ).fetchone()
        self.last = Mark(*newest[:3]) if newest else Mark(*purged)
        self.first_sequence = self._oldest()
        self.durable = self.last
        self._next_offset = self.last.offset + (newest[3] if newest else 1)

    @property
    def empty(self) -> bool:
        """Whether nothing is kept (any more)."""
        return self.first_sequence > self.last.sequence

    def append(self, parts: Parts) -> int:
        """Add an event; readers get it once the store is durable. Returns its number."""
        enqueued = max(_now(), self.last.enqueued)
        mark = Mark(self.last.sequence + 1, self._next_offset, enqueued)
        annotations = {
            _SEQUENCE: mark.sequence,
            _OFFSET: str(mark.offset),
            _ENQUEUED: Timestamp(mark.enqueued),
        }
        message = extend_map(parts.message_annotations, MESSAGE_ANNOTATIONS, annotations)
        message += parts.bare
        self._store.write(
            "INSERT INTO eventhub_event VALUES (?, ?, ?, ?, ?)",
            (self._id, mark.sequence, mark.offset, mark.enqueued, message),
        )
        self.last = mark
        self._next_offset = mark.offset + len(message)
        self._store.when_durable(partial(self._publish, mark))
        return mark.sequence

    def read(self, after: int, limit: int) -> sqlite3.Cursor:
        """Up to `limit` durable events behind a sequence number: number and message."""
        return self._store.read(
            "SELECT sequence, message FROM eventhub_event "
            "WHERE partition = ? AND sequence > ? AND sequence <= ? ORDER BY sequence LIMIT ?",
            (self._id, after, self.durable.sequence, limit),
        )

    def before(self, position: Position) -> int:
        """The sequence number behind which reading begins for a position."""
        if position.value is None:
            return self.last.sequence
        if position.field is Field.SEQUENCE_NUMBER:
            return position.value - 1 if position.inclusive else position.value
        threshold = position.value if position.inclusive else position.value + 1
        return self._first_at(position.field, threshold) - 1

    def purge(self, older_than: int) -> bool:
        """Delete some events from before a time in ms; whether there may be more of them."""
        end = self._first_at(Field.ENQUEUED_TIME, older_than)
        end = min(end, self.first_sequence + PURGE_STEP, self.durable.sequence + 1)
        if end <= self.first_sequence:
            return False
        last = self.last
        self._store.write(
            "UPDATE eventhub_partition SET last_sequence = ?, last_offset = ?, last_enqueued = ? "
            "WHERE id = ?",
            (last.sequence, self._next_offset - 1, last.enqueued, self._id),
        )
        self._store.write(
            "DELETE FROM eventhub_event WHERE partition = ? AND sequence < ?", (self._id, end)
        )
        self.first_sequence = end
        return True

    def _first_at(self, field: Field, threshold: int) -> int:
        """The first sequence number whose offset or time is not below `threshold`."""
        column = "offset" if field is Field.OFFSET else "enqueued"
        statement = f"SELECT {column} FROM eventhub_event WHERE partition = ? AND sequence = ?"  # noqa: S608  # one of two names
        low, high = self.first_sequence, self.last.sequence + 1
        while low < high:
            middle = (low + high) // 2
            value = self._store.read(statement, (self._id, middle)).fetchone()[0]
            if value < threshold:
                low = middle + 1
            else:
                high = middle
        return low

    def _oldest(self) -> int:
        found = self._store.read(
            "SELECT min(sequence) FROM eventhub_event WHERE partition = ?", (self._id,)
        ).fetchone()[0]
        return self.last.sequence + 1 if found is None else int(found)

    def _publish(self, mark: Mark) -> None:
        self.durable = mark
        if self.readers and not self._wake_scheduled:
            self._wake_scheduled = True
            asyncio.get_running_loop().call_soon(self._wake)

    def _wake(self) -> None:
        self._wake_scheduled = False
        for reader in list(self.readers):
            reader.pump()


def _now() -> int:
    return time.time_ns() // 1_000_000
