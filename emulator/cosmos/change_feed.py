"""The change feed in latest-version mode: items in the order of their last write.

A position is a container's logical sequence number, so it outlives restarts; reading costs
with the number of changes, from an index on that number.
"""

import time
from dataclasses import dataclass

from emulator.cosmos.containers import Container
from emulator.cosmos.scope import Scope
from emulator.store import Store

DEFAULT_PAGE = 100


@dataclass(frozen=True, slots=True)
class Page:
    """Documents as JSON text, and the position after them."""

    documents: list[str]
    position: int


def read_page(store: Store, container: Container, scope: Scope, position: int, limit: int) -> Page:
    """Changes after `position`, oldest first.

    About `limit` of them: a transaction's changes stay together, as in Azure.
    """
    where, parameters = scope.clause()
    where = f"{where} AND (expires IS NULL OR expires > ?)"
    boundary = store.read(
        f"SELECT lsn FROM {container.table} WHERE lsn > ? AND {where} "  # noqa: S608
        "ORDER BY lsn LIMIT 1 OFFSET ?",
        (position, *parameters, time.time(), limit - 1),
    ).fetchone()
    # The page is not full: everything up to the container's last write has been seen.
    last = boundary[0] if boundary else container.lsn
    rows = store.read(
        f"SELECT body, lsn FROM {container.table} "  # noqa: S608
        f"WHERE lsn > ? AND lsn <= ? AND {where} ORDER BY lsn, number",
        (position, last, *parameters, time.time()),
    )
    return Page([f'{body[:-1]},"_lsn":{lsn}}}' for body, lsn in rows], last)


def position_at(store: Store, container: Container, since: float) -> int:
    """The position before the first change made at `since` (Unix seconds) or later.

    A binary search: times never go back as sequence numbers grow.
    """
    low, high = 0, container.lsn
    while low < high:
        middle = (low + high) // 2
        row = store.read(
            f"SELECT lsn, ts FROM {container.table} WHERE lsn > ? ORDER BY lsn LIMIT 1",  # noqa: S608
            (middle,),
        ).fetchone()
        if row is None or row[1] >= since:
            high = middle
        else:
            low = row[0]
    return low
