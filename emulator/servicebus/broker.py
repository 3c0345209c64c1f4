"""The namespace: its queues, and what happens to their messages by the passing of time."""

from collections.abc import Iterator

from emulator.servicebus import errors
from emulator.servicebus.entity import Entity
from emulator.servicebus.log import Row
from emulator.servicebus.queue import Queue, QueueRecord
from emulator.servicebus.runtime import Amend, Runtime
from emulator.servicebus.scheduler import Scheduler
from emulator.servicebus.schema import SCHEMA
from emulator.servicebus.settings import (
    MEBIBYTE,
    AccessRule,
    QueueSettings,
    check_queue_name,
    check_rules,
    rules_to_json,
)
from emulator.store import Store

_SWEEP_ROWS = 64
_PURGE_EVERY_MS = 60_000
_PURGE_ROWS = 5_000
_ROW = ", ".join(Row._fields)


class QueueExistsError(Exception):
    """A queue of that name is there already."""


class Broker:
    """All queues. Made inside a running event loop, on a store with nothing half done."""

    def __init__(
        self,
        store: Store,
        amend: Amend,
        scheduler: Scheduler | None = None,
        megabyte: int = MEBIBYTE,
    ) -> None:
        self.scheduler = scheduler or Scheduler()
        self._store = store
        self._runtime = Runtime(store, self.scheduler, amend, megabyte)
        self._queues: dict[str, Queue] = {}
        self._by_id: dict[int, Queue] = {}
        self._sweep_at: int | None = None
        store.create(*SCHEMA)
        self._recover_locks()
        self._watch_next_due()
        self._purge_history()

    def queue(self, name: str) -> Queue:
        """Raises AmqpError amqp:not-found."""
        found = self.find(name)
        if found is None:
            raise errors.entity_not_found(name)
        return found

    def find(self, name: str) -> Queue | None:
        """The queue of that name, in whichever case."""
        known = self._queues.get(name.lower())
        if known is not None:
            return known
        row = self._store.read(
            "SELECT id, name, settings, rules FROM sb_queue WHERE name = ?", (name,)
        ).fetchone()
        return self._open(QueueRecord(*row)) if row else None

    def names(self, skip: int, top: int) -> list[str]:
        """The names of the queues, sorted, a page of them."""
        rows = self._store.read(
            "SELECT name FROM sb_queue ORDER BY name LIMIT ? OFFSET ?", (top, skip)
        )
        return [name for (name,) in rows]

    def create(self, name: str, settings: QueueSettings, rules: tuple[AccessRule, ...]) -> Queue:
        """Raises QueueExistsError, or ValueError for what Azure refuses."""
        check_queue_name(name)
        settings.check()
        check_rules(rules)
        if self.find(name) is not None:
            raise QueueExistsError(name)
        now = self.scheduler.clock()
        row = (name, settings.to_json(), rules_to_json(rules), now, now)
        queue_id = self._store.write(
            "INSERT INTO sb_queue (name, settings, rules, created_at, updated_at) "
            "VALUES (?, ?, ?, ?, ?)",
            row,
        ).lastrowid
        assert queue_id is not None
        self._store.write_many(
            "INSERT INTO sb_entity VALUES (?, 0, ?)", [(2 * queue_id, now), (2 * queue_id + 1, now)]
        )
        return self._open(QueueRecord(queue_id, *row[:3]))

    def update(self, queue: Queue, settings: QueueSettings, rules: tuple[AccessRule, ...]) -> None:
        """Raises ValueError for what Azure refuses, immutable properties included."""
        settings.check()
        check_rules(rules)
        if settings.requires_duplicate_detection != queue.settings.requires_duplicate_detection:
            raise ValueError("RequiresDuplicateDetection of an existing queue cannot be changed")
        self._store.write(
            "UPDATE sb_queue SET settings = ?, rules = ?, updated_at = ? WHERE id = ?",
            (settings.to_json(), rules_to_json(rules), self.scheduler.clock(), queue.id),
        )
        queue.change(settings, rules)

    def delete(self, queue: Queue) -> None:
        """Remove a queue with its messages; its links are detached."""
        del self._queues[queue.name.lower()]
        del self._by_id[queue.id]
        for entity in queue.entity_ids:
            self._store.write("DELETE FROM sb_message WHERE entity = ?", (entity,))
            self._store.write("DELETE FROM sb_lock WHERE entity = ?", (entity,))
            self._store.write("DELETE FROM sb_entity WHERE id = ?", (entity,))
        self._store.write("DELETE FROM sb_history WHERE queue = ?", (queue.id,))
        self._store.write("DELETE FROM sb_queue WHERE id = ?", (queue.id,))
        queue.close()

    def times(self, queue: Queue) -> tuple[int, int, int]:
        """When a queue was created, updated and last sent to, in Unix milliseconds."""
        created, updated = self._store.read(
            "SELECT created_at, updated_at FROM sb_queue WHERE id = ?", (queue.id,)
        ).fetchone()
        (accessed,) = self._store.read(
            "SELECT accessed_at FROM sb_entity WHERE id = ?", (queue.entity_ids[0],)
        ).fetchone()
        return created, updated, accessed

    def close(self) -> None:
        """Stop the timer. The store stays open."""
        self.scheduler.close()

    def _open(self, record: QueueRecord) -> Queue:
        queue = Queue(self._runtime, record, self._watch_due)
        self._queues[record.name.lower()] = self._by_id[record.id] = queue
        return queue

    def _entity(self, entity_id: int) -> Entity:
        queue = self._by_id.get(entity_id // 2)
        if queue is None:
            row = self._store.read(
                "SELECT id, name, settings, rules FROM sb_queue WHERE id = ?", (entity_id // 2,)
            ).fetchone()
            queue = self._open(QueueRecord(*row))
        return queue.dead_letter if entity_id % 2 else queue.active

    def _recover_locks(self) -> None:
        locked = self._store.read("SELECT entity, sequence FROM sb_lock").fetchall()
        for entity, sequence in locked:
            self._entity(entity).recover(sequence)
        self._store.write("DELETE FROM sb_lock")
        self._store.commit()

    def _watch_due(self, when: int) -> None:
        if self._sweep_at is None or when < self._sweep_at:
            self._sweep_at = when
            self.scheduler.at(when, self._sweep)

    def _watch_next_due(self) -> None:
        found = self._store.read(
            "SELECT due_at FROM sb_message WHERE due_at IS NOT NULL ORDER BY due_at LIMIT 1"
        ).fetchone()
        if found:
            self._watch_due(found[0])

    def _sweep(self) -> None:
        """Expire and enqueue what is due, some at a time so that others get their turn."""
        self._sweep_at = None
        for entity, row in self._due_rows():
            again = self._entity(entity).due(row)
            if again is not None:
                self._store.write(
                    "UPDATE sb_message SET due_at = ? WHERE entity = ? AND sequence = ?",
                    (again, entity, row.sequence),
                )
        self._watch_next_due()

    def _due_rows(self) -> Iterator[tuple[int, Row]]:
        rows = self._store.read(
            f"SELECT entity, {_ROW} FROM sb_message WHERE due_at <= ? "  # noqa: S608
            "ORDER BY due_at, sequence LIMIT ?",
            (self.scheduler.clock(), _SWEEP_ROWS),
        ).fetchall()
        return ((entity, Row(*values)) for entity, *values in rows)

    def _purge_history(self) -> None:
        now = self.scheduler.clock()
        old = self._store.read(
            "SELECT queue, message_id FROM sb_history WHERE until <= ? LIMIT ?", (now, _PURGE_ROWS)
        ).fetchall()
        if old:
            self._store.write_many("DELETE FROM sb_history WHERE queue = ? AND message_id = ?", old)
        pause = 1_000 if len(old) == _PURGE_ROWS else _PURGE_EVERY_MS
        self.scheduler.at(now + pause, self._purge_history)
