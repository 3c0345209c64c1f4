"""The gateway's non-volatile memory: one SQLite file."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from x400.errors import ErrorCode, IomoteError

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS note (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT",
    """CREATE TABLE IF NOT EXISTS message (
        mid INTEGER PRIMARY KEY, created_ms INTEGER NOT NULL, kind TEXT NOT NULL, level INTEGER,
        body BLOB NOT NULL, content_type TEXT, content_encoding TEXT, user_route TEXT) STRICT""",
    """CREATE TABLE IF NOT EXISTS quota (
        kind TEXT NOT NULL, day TEXT NOT NULL, used INTEGER NOT NULL,
        PRIMARY KEY (kind, day)) STRICT""",
    """CREATE TABLE IF NOT EXISTS user_message (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL,
        received_ms INTEGER NOT NULL DEFAULT 0) STRICT""",
    """CREATE TABLE IF NOT EXISTS seen (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE) STRICT""",
)


class StoreInUseError(Exception):
    """Another process, or another gateway of this one, has the file open."""


class Store:
    """SQLite in WAL mode, committed with each transaction, used from one thread.

    What a transaction wrote is durable when it ends: against SIGKILL always, against a power
    cut with durability `full`. Only one gateway can have the file open (StoreInUseError).
    """

    def __init__(self, path: Path, durability: Literal["full", "normal"] = "full") -> None:
        self.path = path
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=0)
        try:
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA synchronous={durability}")
            with self.transaction():
                for statement in SCHEMA:
                    self._db.execute(statement)
                self._add_received()
        except (sqlite3.OperationalError, IomoteError) as error:
            self._db.close()
            raise StoreInUseError(
                f"cannot open {path}: is a gateway running on it already? ({error})"
            ) from None

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All or nothing. Raises IomoteError: STORAGE_FULL on a full disk, else STORAGE_WR."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            yield self._db
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise _storage_error(error) from error
        except BaseException:
            self._roll_back()
            raise

    def read(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises IomoteError."""
        try:
            return self._db.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise _storage_error(error) from error

    def note(self, name: str) -> Any:
        """A small JSON value kept under a name; None where there is none."""
        rows = self.read("SELECT value FROM note WHERE name = ?", name)
        return json.loads(rows[0][0]) if rows else None

    def set_note(self, name: str, value: object) -> None:
        """Keep a small JSON value. Raises IomoteError."""
        with self.transaction() as db:
            write_note(db, name, value)

    def close(self) -> None:
        """Close the file; what was committed is there already."""
        self._db.close()

    def _add_received(self) -> None:
        """Stores made before user messages had a time."""
        columns = self._db.execute("SELECT name FROM pragma_table_info('user_message')")
        if ("received_ms",) not in columns.fetchall():
            self._db.execute(
                "ALTER TABLE user_message ADD COLUMN received_ms INTEGER NOT NULL DEFAULT 0"
            )

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


def write_note(db: sqlite3.Connection, name: str, value: object) -> None:
    """`Store.set_note` inside a transaction."""
    db.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, json.dumps(value)))


def _storage_error(error: sqlite3.Error) -> IomoteError:
    if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL:
        return IomoteError(ErrorCode.IOMOTE_ERR_STORAGE_FULL, "the disk is full")
    return IomoteError(ErrorCode.IOMOTE_ERR_STORAGE_WR, f"the storage failed: {error}")
