"""Peek-lock on a message log: receive, then settle by lock token before the lock expires."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from emulator.servicebus import errors
from emulator.servicebus.log import MessageLog, Row, State
from emulator.servicebus.runtime import Runtime
from emulator.servicebus.settings import QueueSettings

_NO_TOKEN = bytes(16)
_UNLOCK = "DELETE FROM sb_lock WHERE entity = ? AND sequence = ?"


class Delivery(NamedTuple):
    """A message as it is handed out."""

    message: Row
    token: bytes  # 16 bytes: the delivery tag
    locked_until: int | None  # Unix milliseconds; None where it was not locked


@dataclass(slots=True)
class _Lock:
    token: bytes
    until: int
    state: State
    expires_at: int | None
    delivery_count: int
    size: int


class Entity:
    """A queue or a dead-letter queue: what a receiver talks to.

    Locks live in memory; the store only knows which messages are locked, so that a lock lost
    by a restart counts as a delivery (as an expired one does).
    """

    def __init__(
        self,
        runtime: Runtime,
        log: MessageLog,
        settings: QueueSettings,
        dead_letter: "Entity | None",
    ) -> None:
        self.log = log
        self.settings = settings
        self.dead_letter = dead_letter  # None: this is the dead-letter queue
        self._store = runtime.store
        self._scheduler = runtime.scheduler
        self._amend = runtime.amend
        self._locks: dict[int, _Lock] = {}
        self._expiry_at: int | None = None

    def receive(self, limit: int) -> list[Delivery]:
        """Lock the next messages, `limit` at most."""
        until = self._scheduler.clock() + self.settings.lock_duration
        return self._lock_all(self._fetch_live(limit), until)

    def take(self, limit: int) -> list[Delivery]:
        """Receive and delete: commit the store before handing these on."""
        rows = self._fetch_live(limit)
        self.log.delete((row.sequence, row.state, row.size) for row in rows)
        return [Delivery(row, _NO_TOKEN, None) for row in rows]

    def receive_deferred(self, sequences: Sequence[int], *, delete: bool) -> list[Delivery]:
        """Lock (or delete) deferred messages; all of them or, with AmqpError, none."""
        now = self._scheduler.clock()
        rows = []
        for sequence in dict.fromkeys(sequences):
            row = self.log.get(sequence)
            if row is None or row.state != State.DEFERRED or sequence in self._locks:
                raise errors.message_not_found()
            if _expired(row.expires_at, now):
                self._expire(row, now)
                raise errors.message_not_found()
            rows.append(row)
        if delete:
            self.log.delete((row.sequence, row.state, row.size) for row in rows)
            return [Delivery(row, _NO_TOKEN, None) for row in rows]
        return self._lock_all(rows, now + self.settings.lock_duration)

    def complete(self, token: bytes) -> None:
        """Remove a locked message. Raises AmqpError where the lock is lost."""
        sequence, lock = self._unlock(token)
        self.log.delete([(sequence, lock.state, lock.size)])

    def abandon(self, token: bytes, properties: Mapping[str, Any] | None = None) -> None:
        """Give a locked message back as a failed delivery. Raises AmqpError."""
        sequence, lock = self._unlock(token)
        self._fail(sequence, lock, properties)

    def release(self, token: bytes) -> None:
        """Give a locked message back untouched. Raises AmqpError."""
        sequence, lock = self._unlock(token)
        self._return(sequence, lock)

    def defer(self, token: bytes, properties: Mapping[str, Any] | None = None) -> None:
        """Set a locked message aside until it is asked for by its number. Raises AmqpError."""
        sequence, lock = self._unlock(token)
        self.log.change(
            sequence,
            delivery_count=lock.delivery_count,
            payload=self._amended(sequence, properties),
            state=State.DEFERRED,
        )
        self.log.recount(lock.state, State.DEFERRED)

    def reject(self, token: bytes, properties: Mapping[str, Any]) -> None:
        """Move a locked message to the dead-letter queue. Raises AmqpError.

        `properties` are added to it: DeadLetterReason, DeadLetterErrorDescription, the
        client's own. In a dead-letter queue this is a failed delivery and no more.
        """
        sequence, lock = self._unlock(token)
        if self.dead_letter is None:
            self._fail(sequence, lock, properties)
        else:
            self._bury(sequence, lock.delivery_count, properties)

    def renew(self, tokens: Iterable[bytes]) -> list[int]:
        """Lock again for the lock duration; the new ends. All or, with AmqpError, none."""
        locks = [self._find(token)[1] for token in tokens]
        until = self._scheduler.clock() + self.settings.lock_duration
        for lock in locks:
            lock.until = until
        return [until] * len(locks)

    def due(self, row: Row) -> int | None:
        """A message's time has come: it expires, or was scheduled for now.

        Returns when to look again, where it is locked (a locked message does not expire).
        """
        now = self._scheduler.clock()
        if row.state == State.SCHEDULED:
            self.log.activate(row, now, now + row.ttl if row.ttl is not None else None)
            return None
        lock = self._locks.get(row.sequence)
        if lock is not None:
            return lock.until
        self._expire(row, now)
        return None

    def recover(self, sequence: int) -> None:
        """The lock on a message was lost with the last process."""
        row = self.log.get(sequence)
        if row is not None:
            lock = _Lock(b"", 0, State(row.state), row.expires_at, row.delivery_count, row.size)
            self._fail(sequence, lock, None)

    def forget(self) -> None:
        """The queue is deleted: every lock is lost."""
        self._locks.clear()

    def _fetch_live(self, limit: int) -> list[Row]:
        now = self._scheduler.clock()
        live: list[Row] = []
        while len(live) < limit:
            rows = self.log.fetch(limit - len(live))
            if not rows:
                break
            for row in rows:
                if _expired(row.expires_at, now):
                    self._expire(row, now)
                else:
                    live.append(row)
        return live

    def _lock_all(self, rows: list[Row], until: int) -> list[Delivery]:
        if not rows:
            return []
        deliveries = []
        for row in rows:
            token = os.urandom(8) + row.sequence.to_bytes(8, "big")
            self._locks[row.sequence] = _Lock(
                token, until, State(row.state), row.expires_at, row.delivery_count, row.size
            )
            deliveries.append(Delivery(row, token, until))
        self._store.write_many(
            "INSERT OR REPLACE INTO sb_lock VALUES (?, ?)",
            ((self.log.entity, row.sequence) for row in rows),
        )
        self._watch(until)
        return deliveries

    def _find(self, token: bytes) -> tuple[int, _Lock]:
        sequence = int.from_bytes(token[8:], "big")
        lock = self._locks.get(sequence)
        if lock is None or lock.token != token or lock.until <= self._scheduler.clock():
            raise errors.lock_lost()
        return sequence, lock

    def _unlock(self, token: bytes) -> tuple[int, _Lock]:
        sequence, lock = self._find(token)
        del self._locks[sequence]
        self._store.write(_UNLOCK, (self.log.entity, sequence))
        return sequence, lock

    def _fail(self, sequence: int, lock: _Lock, properties: Mapping[str, Any] | None) -> None:
        count = lock.delivery_count + 1
        maximum = self.settings.max_delivery_count
        if self.dead_letter is not None and count >= maximum:
            reason = {
                "DeadLetterReason": "MaxDeliveryCountExceeded",
                "DeadLetterErrorDescription": "Message could not be consumed after "
                f"{maximum} delivery attempts.",
            }
            self._bury(sequence, count, {**(properties or {}), **reason})
            return
        payload = self._amended(sequence, properties)
        self.log.change(sequence, delivery_count=count, payload=payload, state=None)
        self._return(sequence, lock)

    def _return(self, sequence: int, lock: _Lock) -> None:
        if lock.state == State.DEFERRED:
            return
        now = self._scheduler.clock()
        if _expired(lock.expires_at, now):
            row = self.log.get(sequence)
            if row is not None:
                self._expire(row, now)
            return
        self.log.give_back(sequence)

    def _expire(self, row: Row, now: int) -> None:
        if self.dead_letter is None or not self.settings.dead_letter_expired:
            self.log.delete([(row.sequence, row.state, row.size)])
            return
        reason = {
            "DeadLetterReason": "TTLExpiredException",
            "DeadLetterErrorDescription": "The message expired and was dead lettered.",
        }
        payload = self._amend(row.payload, reason)
        self.log.move(row, self.dead_letter.log, now, row.delivery_count, payload)

    def _bury(self, sequence: int, count: int, properties: Mapping[str, Any]) -> None:
        row = self.log.get(sequence)
        if row is not None and self.dead_letter is not None:
            payload = self._amend(row.payload, properties)
            self.log.move(row, self.dead_letter.log, self._scheduler.clock(), count, payload)

    def _amended(self, sequence: int, properties: Mapping[str, Any] | None) -> bytes | None:
        row = self.log.get(sequence) if properties else None
        return self._amend(row.payload, properties) if row is not None and properties else None

    def _watch(self, until: int) -> None:
        if self._expiry_at is None or until < self._expiry_at:
            self._expiry_at = until
            self._scheduler.at(until, self._expire_locks)

    def _expire_locks(self) -> None:
        now = self._scheduler.clock()
        self._expiry_at = None
        lost = [sequence for sequence, lock in self._locks.items() if lock.until <= now]
        for sequence in lost:
            lock = self._locks.pop(sequence)
            self._store.write(_UNLOCK, (self.log.entity, sequence))
            self._fail(sequence, lock, None)
        if self._locks:
            self._watch(min(lock.until for lock in self._locks.values()))


def _expired(expires_at: int | None, now: int) -> bool:
    return expires_at is not None and expires_at <= now
