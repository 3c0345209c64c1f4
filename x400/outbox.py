"""Messages on their way to the cloud: stored and counted first, forgotten once delivered."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta

from x400 import quota
from x400.errors import ErrorCode, IomoteError
from x400.journal import Fate, Record, Watcher
from x400.messages import Draft, Event, Kind, Level, Stored, management
from x400.store import Store, write_note

MANAGEMENT_PENDING = 500  # events past this many undelivered ones are dropped
LAST_MID = "last_mid"
COLUMNS = "mid, created_ms, kind, level, body, content_type, content_encoding, user_route"


class Outbox:
    """The message store. `clock` gives Unix seconds; `limits` the daily quota of each kind.

    `on_record` hears of each message when it is durably stored, taken by the hub or wiped.
    """

    def __init__(
        self,
        store: Store,
        limits: Mapping[Kind, int],
        storage_bytes: int,
        clock: Callable[[], float],
        on_record: Watcher,
    ) -> None:
        self._store = store
        self._on_record = on_record
        self._limits = limits
        self._storage_bytes = storage_bytes
        self._clock = clock
        self._full_told = False
        rows = store.read("SELECT mid, length(body) FROM message")
        self._sizes: dict[int, int] = dict(rows)
        self._bytes = sum(self._sizes.values())

    def add(self, draft: Draft) -> Stored:
        """Store and count a message; durable on return.

        Raises IomoteError: MSG_LIMIT, STORAGE_FULL or STORAGE_WR. Nothing is counted then.
        """
        if draft.kind is not Kind.MANAGEMENT:
            self._check_room(draft)
        now = self._clock()
        with self._store.transaction() as db:
            stored = self._insert(db, draft, now)
            reached = self._count(db, draft.kind, now)
            event = self._insert(db, reached, now) if reached else None
        for message in (stored, event):
            if message is not None:
                self._sizes[message.mid] = len(message.draft.body)
                self._bytes += len(message.draft.body)
                self.record(Fate.STORED, message)
        if draft.kind is not Kind.MANAGEMENT:
            self._full_told = False
        return stored

    def add_event(self, event: Event, detail: str) -> bool:
        """Store a management event; False where too many wait already to keep one more."""
        (waiting,) = self._store.read(
            "SELECT count(*) FROM message WHERE kind = ?", Kind.MANAGEMENT.value
        )[0]
        if waiting >= MANAGEMENT_PENDING:
            return False
        self.add(management(event, detail))
        return True

    def after(self, mid: int, limit: int) -> list[Stored]:
        """The oldest messages above `mid`."""
        rows = self._store.read(
            f"SELECT {COLUMNS} FROM message WHERE mid > ? ORDER BY mid LIMIT ?",  # noqa: S608
            mid,
            limit,
        )
        return [_stored(row) for row in rows]

    def remove(self, mids: Sequence[int]) -> None:
        """Forget messages that the cloud has. Raises IomoteError."""
        with self._store.transaction() as db:
            db.executemany("DELETE FROM message WHERE mid = ?", [(mid,) for mid in mids])
        for mid in mids:
            self._bytes -= self._sizes.pop(mid, 0)

    def record(self, fate: Fate, message: Stored) -> None:
        """Tell what happened to a message."""
        self._on_record(Record(fate, message, int(self._clock() * 1000)))

    def wipe(self, db: sqlite3.Connection, before_ms: float | None = None) -> list[Stored]:
        """Forget messages, inside a transaction; give them to `forget` when it has ended.

        All of them, or those stored before a Unix time in ms. One whose own time lies ahead
        was stored by a clock that was wrong, so nobody knows when: it goes, too.
        Ids go on from the Unix time in ms. The quota stays: it counts the device's day,
        whoever owns the device.
        """
        now_ms = int(self._clock() * 1000)
        rows = db.execute(
            f"SELECT {COLUMNS} FROM message "  # noqa: S608
            "WHERE created_ms < ifnull(?1, created_ms + 1) OR created_ms > ?2 ORDER BY mid",
            (before_ms, now_ms),
        )
        wiped = [_stored(row) for row in rows]
        db.executemany("DELETE FROM message WHERE mid = ?", [(message.mid,) for message in wiped])
        write_note(db, LAST_MID, max(self._last_mid(), now_ms))
        return wiped

    def forget(self, wiped: Sequence[Stored]) -> None:
        """What was wiped waits no more: the transaction of `wipe` has ended."""
        for message in wiped:
            self._bytes -= self._sizes.pop(message.mid)
            self.record(Fate.WIPED, message)

    def pending(self) -> int:
        """How many messages wait for the cloud, the gateway's own events included."""
        return len(self._sizes)

    def pending_of_app(self) -> int:
        """How many messages of the app wait for the cloud."""
        sql = "SELECT count(*) FROM message WHERE kind <> ?"
        return int(self._store.read(sql, Kind.MANAGEMENT.value)[0][0])

    def used(self, kind: Kind) -> int:
        """How many messages of a kind count against the quota of today."""
        return self._used(kind, quota.utc_day(self._clock()))

    def left(self, kind: Kind) -> int:
        """How many messages of a kind today's quota still takes."""
        return max(0, self._limits[kind] - self.used(kind))

    def _check_room(self, draft: Draft) -> None:
        limit = self._limits[draft.kind]
        if self.used(draft.kind) >= limit:
            raise IomoteError(
                ErrorCode.IOMOTE_ERR_MSG_LIMIT,
                f"today's {limit} messages are used up; the next day begins at 00:00 UTC",
            )
        if self._bytes + len(draft.body) <= self._storage_bytes:
            return
        if not self._full_told:
            self._full_told = True
            self.add_event(
                Event.STORAGE_FULL, f"{self.pending_of_app()} messages, {self._bytes} bytes"
            )
        raise IomoteError(
            ErrorCode.IOMOTE_ERR_STORAGE_FULL, f"{self._bytes} bytes wait for the cloud"
        )

    def _insert(self, db: sqlite3.Connection, draft: Draft, now: float) -> Stored:
        last = self._last_mid() or int(now * 1000)
        stored = Stored(last + 1, int(now * 1000), draft)
        write_note(db, LAST_MID, stored.mid)
        db.execute(
            f"INSERT INTO message ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (
                stored.mid,
                stored.created_ms,
                draft.kind.value,
                draft.level,
                draft.body,
                draft.content_type,
                draft.content_encoding,
                draft.user_route,
            ),
        )
        return stored

    def _count(self, db: sqlite3.Connection, kind: Kind, now: float) -> Draft | None:
        """Count a message; the event to store where it was the last of its day."""
        if kind is Kind.MANAGEMENT:
            return None
        today = quota.utc_day(now)
        used = self._used(kind, today) + 1
        db.execute("INSERT OR REPLACE INTO quota VALUES (?, ?, ?)", (kind.value, str(today), used))
        db.execute("DELETE FROM quota WHERE day < ?", (str(today - timedelta(days=400)),))
        if used < self._limits[kind]:
            return None
        return management(Event.QUOTA_REACHED, f"{used} {kind.value} messages on {today}")

    def _used(self, kind: Kind, today: date) -> int:
        rows = self._store.read(
            "SELECT day, used FROM quota WHERE kind = ? AND day >= ?", kind.value, str(today)
        )
        return quota.used({date.fromisoformat(day): used for day, used in rows}, today)

    def _last_mid(self) -> int:
        return int(self._store.note(LAST_MID) or 0)


def _stored(
    row: tuple[int, int, str, int | None, bytes, str | None, str | None, str | None],
) -> Stored:
    mid, created_ms, kind, level, body, content_type, content_encoding, user_route = row
    draft = Draft(
        Kind(kind),
        body,
        None if level is None else Level(level),
        content_type,
        content_encoding,
        user_route,
    )
    return Stored(mid, created_ms, draft)
