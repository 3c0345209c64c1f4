"""One SQLite file for everything the local Azure acknowledges.

Writes join one open transaction; the transaction is committed once per turn of the event
loop, and only then are the acknowledgements sent that wait for it (group commit).
"""

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NoReturn

log = logging.getLogger(__name__)

EXIT_STORE_FAILED = 70
# What SQLite reports where the disk is at fault, not the statement.
DISK_FAILURES = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_READONLY,
)

Value = str | int | float | bytes | None


class Store:
    """SQLite in WAL mode with group commit, used from one event loop only.

    What was committed survives SIGKILL. `synchronous=NORMAL` leaves the last commits to the
    operating system, so a power cut may lose them: this is a developer's machine, not a bank.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute("PRAGMA foreign_keys=ON")
        self._open = False
        self._waiting: list[Callable[[], None]] = []
        self._commit_scheduled = False

    def create(self, *statements: str) -> None:
        """Run `CREATE ... IF NOT EXISTS` statements, each on its own, at start-up."""
        for statement in statements:
            self._db.execute(statement)

    def read(self, sql: str, parameters: Sequence[Value] = ()) -> sqlite3.Cursor:
        """Rows as they are now, writes that are not committed yet included."""
        return self._db.execute(sql, parameters)

    def write(self, sql: str, parameters: Sequence[Value] = ()) -> sqlite3.Cursor:
        """Change rows; durable when `durable` returns or `when_durable` calls back.

        Ends the process if the disk refuses.
        """
        try:
            self._begin()
            return self._db.execute(sql, parameters)
        except sqlite3.Error as failure:
            _die_if_disk_failed(failure)
            raise

    def write_many(self, sql: str, rows: Iterable[Sequence[Value]]) -> sqlite3.Cursor:
        """`write` for many rows of one statement."""
        try:
            self._begin()
            return self._db.executemany(sql, rows)
        except sqlite3.Error as failure:
            _die_if_disk_failed(failure)
            raise

    def when_durable(self, callback: Callable[[], None]) -> None:
        """Call back once everything written so far is committed, in the order of the calls."""
        self._waiting.append(callback)
        self._schedule_commit()

    async def durable(self) -> None:
        """Return once everything written so far is committed."""
        if not self._open:
            return
        done = asyncio.Event()
        self.when_durable(done.set)
        await done.wait()

    def commit(self) -> None:
        """Commit now and call back who waits. Ends the process if the disk refuses."""
        self._commit_scheduled = False
        if self._open:
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error as failure:
                _die(failure)
            self._open = False
        waiting, self._waiting = self._waiting, []
        for callback in waiting:
            try:
                callback()
            except Exception:  # the others wait for the same commit
                log.exception("what waited for a commit failed")

    def close(self) -> None:
        """Commit what is open and close the file."""
        self.commit()
        self._db.close()

    def _begin(self) -> None:
        if not self._open:
            self._db.execute("BEGIN")
            self._open = True
            self._schedule_commit()

    def _schedule_commit(self) -> None:
        if not self._commit_scheduled:
            self._commit_scheduled = True
            asyncio.get_running_loop().call_soon(self.commit)


def _die_if_disk_failed(failure: sqlite3.Error) -> None:
    # Extended codes hold the primary one in their lowest byte.
    if getattr(failure, "sqlite_errorcode", 0) & 0xFF in DISK_FAILURES:
        _die(failure)


def _die(failure: sqlite3.Error) -> NoReturn:
    """Memory is ahead of the disk, and cannot be rolled back.

    So end before anything is acknowledged, to start again from what the disk holds.
    """
    log.critical("cannot write the store; stopping", exc_info=failure)
    os._exit(EXIT_STORE_FAILED)
