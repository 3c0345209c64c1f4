"""The messages of one entity in the store, in the order of their sequence numbers."""

import heapq
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import partial
from typing import NamedTuple, Protocol

from emulator.amqp.node import AmqpError
from emulator.store import Store, Value


class State(IntEnum):
    """The annotation x-opt-message-state."""

    ACTIVE = 0
    DEFERRED = 1
    SCHEDULED = 2


class Row(NamedTuple):
    """A stored message. Times are Unix milliseconds, ttl is milliseconds."""

    sequence: int
    state: int
    enqueued_at: int
    enqueued_sequence: int
    ttl: int | None
    expires_at: int | None
    delivery_count: int
    size: int
    payload: bytes


class Listener(Protocol):
    """Who waits for messages: a link."""

    def pump(self) -> None: ...

    def refuse(self, error: AmqpError) -> None: ...


_COLUMNS = ", ".join(Row._fields)
_INSERT = (
    f"INSERT INTO sb_message (entity, due_at, {_COLUMNS}) "  # noqa: S608 (constant column names)
    f"VALUES ({', '.join('?' * (len(Row._fields) + 2))})"
)
_SELECT_ONE = f"SELECT {_COLUMNS} FROM sb_message WHERE entity = ? AND sequence = ?"  # noqa: S608
_SELECT_NEXT = (
    f"SELECT {_COLUMNS} FROM sb_message "  # noqa: S608
    "WHERE entity = ? AND sequence > ? AND sequence <= ? AND state = 0 ORDER BY sequence LIMIT ?"
)
_SELECT_FROM = (
    f"SELECT {_COLUMNS} FROM sb_message "  # noqa: S608
    "WHERE entity = ? AND sequence >= ? AND sequence <= ? ORDER BY sequence LIMIT ?"
)


class MessageLog:
    """One ordered list of messages: a queue's, or its dead-letter queue's.

    In memory are only a cursor (every active message behind it waits untouched in the store)
    and the sequence numbers before it that were given back. Nothing is handed out before the
    store has it durably.
    """

    def __init__(self, store: Store, entity: int, last_sequence: int) -> None:
        self.entity = entity
        self.last_sequence = last_sequence
        self._store = store
        self._durable = last_sequence
        self._cursor = 0
        self._returned: list[int] = []
        self._totals: list[int] | None = None  # count by state, then bytes
        self._listeners: list[Listener] = []

    def append(self, rows: Sequence[Row], due: Iterable[int | None], now: int) -> None:
        """Store new messages; their sequence numbers come from `next_sequence`."""
        self._store.write_many(
            _INSERT, ((self.entity, at, *row) for at, row in zip(due, rows, strict=True))
        )
        for row in rows:
            self._count(row.state, 1, row.size)
        self._save_sequence(now)
        self._publish_when_durable()

    def next_sequence(self) -> int:
        self.last_sequence += 1
        return self.last_sequence

    def fetch(self, limit: int) -> list[Row]:
        """The next available messages, in order; they are the caller's until given back."""
        rows: list[Row] = []
        while self._returned and len(rows) < limit:
            row = self.get(heapq.heappop(self._returned))
            if row is not None and row.state == State.ACTIVE:
                rows.append(row)
        room = limit - len(rows)
        if room == 0 or self._cursor >= self._durable:
            return rows
        waiting = self._store.read(_SELECT_NEXT, (self.entity, self._cursor, self._durable, room))
        found = [Row(*values) for values in waiting]
        self._cursor = found[-1].sequence if len(found) == room else self._durable
        return rows + found

    def get(self, sequence: int) -> Row | None:
        values = self._store.read(_SELECT_ONE, (self.entity, sequence)).fetchone()
        return Row(*values) if values else None

    def peek(self, from_sequence: int, limit: int, max_bytes: int) -> list[Row]:
        """Durable messages in any state, locked ones too; at least one, where there is one."""
        bounds = (self.entity, from_sequence, self._durable, limit)
        rows: list[Row] = []
        for values in self._store.read(_SELECT_FROM, bounds):
            row = Row(*values)
            max_bytes -= row.size
            if rows and max_bytes < 0:
                break
            rows.append(row)
        return rows

    def give_back(self, sequence: int) -> None:
        """Make a fetched message available again, at its place, once that is durable."""
        if sequence <= self._cursor:
            self._store.when_durable(partial(self._returned_now, sequence))

    def change(
        self, sequence: int, *, delivery_count: int, payload: bytes | None, state: State | None
    ) -> None:
        """Rewrite what a settlement changes; `state` DEFERRED also ends its expiry."""
        sets, values = ["delivery_count = ?"], list[Value]([delivery_count])
        if payload is not None:
            sets.append("payload = ?")
            values.append(payload)
        if state is not None:
            sets.append("state = ?, due_at = NULL")
            values.append(state)
        statement = f"UPDATE sb_message SET {', '.join(sets)} WHERE entity = ? AND sequence = ?"  # noqa: S608
        self._store.write(statement, (*values, self.entity, sequence))

    def recount(self, old: State, new: State) -> None:
        """A message changed its state."""
        self._count(old, -1, 0)
        self._count(new, 1, 0)

    def delete(self, removed: Iterable[tuple[int, int, int]]) -> None:
        """Remove messages, each given as (sequence, state, size)."""
        removed = list(removed)
        if not removed:
            return
        self._store.write_many(
            "DELETE FROM sb_message WHERE entity = ? AND sequence = ?",
            ((self.entity, sequence) for sequence, _, _ in removed),
        )
        for _, state, size in removed:
            self._count(state, -1, -size)

    def activate(self, row: Row, now: int, expires_at: int | None) -> None:
        """Enqueue a scheduled message: it gets a new sequence number, at the end."""
        self._store.write(
            "UPDATE sb_message SET sequence = ?, state = 0, enqueued_at = ?, expires_at = ?, "
            "due_at = ? WHERE entity = ? AND sequence = ?",
            (self.next_sequence(), now, expires_at, expires_at, self.entity, row.sequence),
        )
        self.recount(State.SCHEDULED, State.ACTIVE)
        self._save_sequence(now)
        self._publish_when_durable()

    def move(
        self, row: Row, target: "MessageLog", now: int, delivery_count: int, payload: bytes
    ) -> None:
        """Append a message to another log, without expiry, and remove it here."""
        self.delete([(row.sequence, row.state, row.size)])
        moved = row._replace(
            sequence=target.next_sequence(),
            state=State.ACTIVE,
            expires_at=None,
            delivery_count=delivery_count,
            payload=payload,
        )
        target.append([moved], [None], now)

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def unlisten(self, listener: Listener) -> None:
        if listener in self._listeners:
            self._listeners.remove(listener)

    def refuse_listeners(self, error: AmqpError) -> None:
        """Turn everybody away who waits here."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            listener.refuse(error)

    @property
    def totals(self) -> tuple[int, int, int, int]:
        """Active, deferred and scheduled messages, and the bytes of all."""
        if self._totals is None:
            self._totals = [0, 0, 0, 0]
            counted = self._store.read(
                "SELECT state, COUNT(*), SUM(size) FROM sb_message WHERE entity = ? GROUP BY state",
                (self.entity,),
            )
            for state, count, size in counted:
                self._totals[state] = count
                self._totals[3] += size
        active, deferred, scheduled, size = self._totals
        return active, deferred, scheduled, size

    def _count(self, state: int, count: int, size: int) -> None:
        if self._totals is not None:
            self._totals[state] += count
            self._totals[3] += size

    def _save_sequence(self, now: int) -> None:
        self._store.write(
            "UPDATE sb_entity SET last_sequence = ?, accessed_at = ? WHERE id = ?",
            (self.last_sequence, now, self.entity),
        )

    def _publish_when_durable(self) -> None:
        self._store.when_durable(partial(self._publish, self.last_sequence))

    def _publish(self, sequence: int) -> None:
        self._durable = max(self._durable, sequence)
        self._wake()

    def _returned_now(self, sequence: int) -> None:
        heapq.heappush(self._returned, sequence)
        self._wake()

    def _wake(self) -> None:
        if not self._listeners:
            return
        self._listeners.append(self._listeners.pop(0))  # competing receivers take turns
        for listener in tuple(self._listeners):
            listener.pump()
