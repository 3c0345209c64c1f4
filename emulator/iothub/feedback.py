"""Feedback on cloud-to-device messages: what became of those that asked for it.

Records wait in the store; a receiver takes up to 64 as one message, locked for a minute.
"""

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from emulator.iothub import clock
from emulator.store import Store

CONTENT_TYPE = "application/vnd.microsoft.iothub.feedback.json"
BATCH_RECORDS = 64
LOCK_SECONDS = 60.0
MAX_DELIVERIES = 10
TIME_TO_LIVE = 3600.0  # seconds

_SWEEP_BATCH = 500


class Outcome(StrEnum):
    """IoT Hub's status codes for a cloud-to-device message."""

    SUCCESS = "Success"
    EXPIRED = "Expired"
    PURGED = "Purged"


@dataclass
class Batch:
    """Records that one receiver holds as one message."""

    lock_token: str
    body: bytes
    enqueued: float  # Unix seconds of the oldest record
    rows: list[int]
    locked_until: float = field(default_factory=lambda: time.time() + LOCK_SECONDS)


class Feedback:
    """The feedback queue of the hub. Locks live in memory: a restart frees them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._locked: dict[str, Batch] = {}
        self._listeners: set[Callable[[], None]] = set()
        store.create(
            """CREATE TABLE IF NOT EXISTS iothub_feedback (
                row INTEGER PRIMARY KEY AUTOINCREMENT,
                device_id TEXT NOT NULL REFERENCES iothub_devices ON DELETE CASCADE,
                record TEXT NOT NULL,
                enqueued REAL NOT NULL,
                deliveries INTEGER NOT NULL DEFAULT 0
            )""",
            "CREATE INDEX IF NOT EXISTS iothub_feedback_device ON iothub_feedback (device_id)",
            "CREATE INDEX IF NOT EXISTS iothub_feedback_age ON iothub_feedback (enqueued)",
        )
        # The newest record that may be told: a process that is killed loses none of them.
        self._durable: int = store.read(
            "SELECT COALESCE(MAX(row), 0) FROM iothub_feedback"
        ).fetchone()[0]

    def add(
        self, message_id: str | None, outcome: Outcome, device_id: str, generation_id: str
    ) -> None:
        """Queue a record, and call the listeners once it is durable."""
        now = time.time()
        record = {
            "originalMessageId": message_id,
            "enqueuedTimeUtc": clock.iso(now),
            "statusCode": outcome.value,
            "description": outcome.value,
            "deviceId": device_id,
            "deviceGenerationId": generation_id,
        }
        row = self._store.write(
            "INSERT INTO iothub_feedback (device_id, record, enqueued) VALUES (?, ?, ?)",
            (device_id, json.dumps(record), now),
        ).lastrowid
        self._store.when_durable(partial(self._publish, row or 0))

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` whenever there may be something to receive; returns how to stop."""
        self._listeners.add(listener)
        return lambda: self._listeners.discard(listener)

    def receive(self) -> Batch | None:
        """Lock the oldest durable records as one batch; None where nothing waits."""
        held = {row for batch in self._locked.values() for row in batch.rows}
        rows = [
            row
            for row in self._store.read(
                "SELECT row, record, enqueued FROM iothub_feedback "
                "WHERE row <= ? ORDER BY row LIMIT ?",
                (self._durable, len(held) + BATCH_RECORDS),
            )
            if row[0] not in held
        ][:BATCH_RECORDS]
        if not rows:
            return None
        body = f"[{','.join(record for _, record, _ in rows)}]".encode()
        batch = Batch(str(uuid.uuid4()), body, rows[0][2], [row[0] for row in rows])
        self._locked[batch.lock_token] = batch
        return batch

    def complete(self, lock_token: str) -> bool:
        """Delete a locked batch; False where the lock is lost."""
        batch = self._locked.pop(lock_token, None)
        if batch is None:
            return False
        self._store.write_many(
            "DELETE FROM iothub_feedback WHERE row = ?", [(row,) for row in batch.rows]
        )
        return True

    def abandon(self, lock_token: str) -> bool:
        """Give a locked batch back; the tenth time deletes it. False where the lock is lost."""
        batch = self._locked.pop(lock_token, None)
        if batch is None:
            return False
        self._store.write_many(
            "UPDATE iothub_feedback SET deliveries = deliveries + 1 WHERE row = ?",
            [(row,) for row in batch.rows],
        )
        self._store.write_many(
            "DELETE FROM iothub_feedback WHERE row = ? AND deliveries >= ?",
            [(row, MAX_DELIVERIES) for row in batch.rows],
        )
        self._announce()
        return True

    def release(self, lock_token: str) -> None:
        """Unlock a batch whose receiver went away; this is no delivery."""
        if self._locked.pop(lock_token, None) is not None:
            self._announce()

    def sweep(self) -> None:
        """Drop what is older than an hour and free locks that ran out."""
        now = time.time()
        if self._oldest() <= now - TIME_TO_LIVE:
            self._store.write(
                """DELETE FROM iothub_feedback WHERE row IN (
                    SELECT row FROM iothub_feedback WHERE enqueued <= ? LIMIT ?)""",
                (now - TIME_TO_LIVE, _SWEEP_BATCH),
            )
        for token in [t for t, batch in self._locked.items() if batch.locked_until <= now]:
            self.release(token)

    def _oldest(self) -> float:
        oldest = self._store.read("SELECT MIN(enqueued) FROM iothub_feedback").fetchone()[0]
        return float("inf") if oldest is None else oldest

    def _publish(self, row: int) -> None:
        self._durable = row
        self._announce()

    def _announce(self) -> None:
        for listener in list(self._listeners):
            listener()
