"""Runs a plan: one page of results at a time."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import Any

from emulator.cosmos.containers import Container
from emulator.cosmos.query.continuation import Continuation
from emulator.cosmos.query.plan import Column, Plan
from emulator.cosmos.query.sqlite import Sql
from emulator.cosmos.values import UNDEFINED, dumps, rank
from emulator.store import Store, Value

MAX_PAGE_BYTES = 4 * 1024 * 1024
CHUNK = 500  # rows that are filtered between two turns of the event loop
MAX_SCANNED = 10_000  # rows that one request filters before it answers with what it has

Key = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Results as JSON text; `loaded` documents were looked at for them."""

    results: list[str]
    continuation: Continuation | None
    loaded: int


async def run_page(
    store: Store, container: Container, plan: Plan, start: Continuation | None, limit: int
) -> Page:
    """Up to `limit` results after `start`; fewer where the work for one request is done."""
    if plan.aggregation is not None:
        return await _aggregate(store, container, plan)
    return await _Pager(store, container, plan, start, limit).run()


class _Pager:
    """Collects one page; `_state` is where the next one would go on."""

    def __init__(
        self,
        store: Store,
        container: Container,
        plan: Plan,
        start: Continuation | None,
        limit: int,
    ) -> None:
        self._store, self._container, self._plan = store, container, plan
        self._start = start
        self._state = start or Continuation(skip=plan.skip, left=plan.left)
        self._limit = limit
        self._results: list[str] = []
        self._bytes = 0
        self._seen: set[Any] = set()
        self._loaded = 0

    async def run(self) -> Page:
        plan = self._plan
        replay_until = self._state.after if plan.distinct else None
        first = None if plan.distinct else self._state.after
        exact = min(self._limit + self._state.skip + 1, MAX_SCANNED)
        size = exact if plan.one_to_one else CHUNK
        async for key, body in _scan(self._store, self._container, plan, first, size):
            if self._state.left == 0:
                return self._page(more=False)
            if replay_until is not None and not _is_after(plan, key, replay_until):
                self._seen.update(_identity(value) for _, value in plan.results(body))
                continue
            if self._full() or self._loaded >= MAX_SCANNED:
                return self._page(more=True)
            self._loaded += 1
            if not self._take(body):
                return self._page(more=self._state.left != 0)
            self._state = replace(self._state, after=key, inside=0)
        return self._page(more=False)

    def _take(self, body: str) -> bool:
        """Deliver a document's results; False where the page ended before the last of them."""
        used = self._state.inside
        for index, (text, value) in enumerate(self._plan.results(body)):
            if index < used:
                self._remember(value)
                continue
            if self._full() or self._state.left == 0:
                self._state = replace(self._state, inside=index)
                return False
            if not self._remember(value):
                continue
            if self._state.skip > 0:
                self._state = replace(self._state, skip=self._state.skip - 1)
                continue
            self._results.append(text)
            self._bytes += len(text)
            if self._state.left is not None:
                self._state = replace(self._state, left=self._state.left - 1)
        return True

    def _remember(self, value: Any) -> bool:
        """Whether the result counts: every one does, unless DISTINCT saw it before."""
        if not self._plan.distinct:
            return True
        identity = _identity(value)
        if identity in self._seen:
            return False
        self._seen.add(identity)
        return True

    def _full(self) -> bool:
        return len(self._results) >= self._limit or self._bytes >= MAX_PAGE_BYTES

    def _page(self, *, more: bool) -> Page:
        more = more and self._state.left != 0
        return Page(self._results, self._state if more else None, self._loaded)


async def _aggregate(store: Store, container: Container, plan: Plan) -> Page:
    aggregation = plan.aggregation
    assert aggregation is not None
    if aggregation.counts_rows_only and not plan.joins and plan.residual is None:
        where = _where(container, plan)
        count = store.read(
            f"SELECT count(*) FROM {plan.source.table} WHERE {where.text}",  # noqa: S608
            plan.source.before + where.parameters,
        ).fetchone()[0]
        aggregation.add_count(count)
        loaded = 0  # answered from the index, as Azure does
    else:
        loaded = 0
        async for _, body in _scan(store, container, plan, None, CHUNK):
            loaded += 1
            for row in plan.rows(body):
                aggregation.add(row)
    result = aggregation.result()
    return Page([] if result is UNDEFINED else [dumps(result)], None, loaded)


async def _scan(
    store: Store, container: Container, plan: Plan, after: Key | None, size: int
) -> AsyncIterator[tuple[Key, str]]:
    """Rows in the plan's order, `size` at a time; other requests get their turn in between.

    Every chunk is a query of its own that starts at a sort key, so no cursor stays open while
    others write, and rows written meanwhile appear where they belong.
    """
    while True:
        rows = _chunk(store, container, plan, after, size)
        for body, *key in rows:
            yield tuple(key), body
        if len(rows) < size:
            return
        after = tuple(rows[-1][1:])
        await asyncio.sleep(0)


def _chunk(
    store: Store, container: Container, plan: Plan, after: Key | None, size: int
) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    for sql, parameters in statements(container, plan, after):
        rows += store.read(sql, (*parameters, size - len(rows))).fetchall()
        if len(rows) >= size:
            break
    return rows


def statements(
    container: Container, plan: Plan, after: Key | None
) -> Iterator[tuple[str, tuple[Value, ...]]]:
    """SQL for the rows after a sort key, to be run in turn; the last parameter is a limit."""
    columns = ", ".join(["body", *(column.sql for column in plan.key)])
    where = _where(container, plan)
    for segment, varying in _segments(plan, after):
        order = ", ".join(f"{c.sql} {'DESC' if c.descending else 'ASC'}" for c in varying)
        sql = (
            f"SELECT {columns} FROM {plan.source.table} "  # noqa: S608
            f"WHERE {where.text} AND {segment.text} ORDER BY {order} LIMIT ?"
        )
        yield sql, (*plan.source.before, *where.parameters, *segment.parameters)


def _where(container: Container, plan: Plan) -> Sql:
    condition = plan.source.condition
    if container.default_ttl is None:
        return condition
    return Sql(
        f"{condition.text} AND (expires IS NULL OR expires > ?)",
        (*condition.parameters, time.time()),
    )


def _segments(plan: Plan, after: Key | None) -> list[tuple[Sql, tuple[Column, ...]]]:
    """The rows after a sort key, as ranges of it that an index can seek, in their order.

    Those equal in all columns but the last, then those equal in all but the last two, ...
    Each comes with the columns that still vary in it: SQLite sorts by what it is told to,
    even where an equality has fixed it and its index has the order already.
    """
    if after is None:
        return [(Sql("1"), plan.key)]
    segments = []
    for last in reversed(range(len(after))):
        equal = [f"{column.sql} IS ?" for column in plan.key[:last]]
        sign = "<" if plan.key[last].descending else ">"
        text = " AND ".join([*equal, f"{plan.key[last].sql} {sign} ?"])
        segments.append((Sql(text, after[: last + 1]), plan.key[last:]))
    return segments


def _is_after(plan: Plan, key: Key, other: Key) -> bool:
    for column, mine, theirs in zip(plan.key, key, other, strict=True):
        if mine == theirs or mine is None or theirs is None:
            continue
        return (mine < theirs) is column.descending  # type: ignore[operator] # one rank, one type
    return False


def _identity(value: Any) -> Any:
    """Something hashable that two values share exactly where Cosmos DB finds them equal."""
    if isinstance(value, list):
        return (rank(value), tuple(map(_identity, value)))
    if isinstance(value, dict):
        return (rank(value), frozenset((name, _identity(item)) for name, item in value.items()))
    return (rank(value), value)
