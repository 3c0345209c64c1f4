"""What a query asks for, checked and compiled for one container and scope."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from emulator.cosmos.containers import Container
from emulator.cosmos.errors import bad_request
from emulator.cosmos.indexing import is_indexed, serves_order
from emulator.cosmos.query import syntax as s
from emulator.cosmos.query.aggregates import Aggregation, has_aggregate
from emulator.cosmos.query.evaluate import (
    Evaluator,
    Parameters,
    Row,
    build_object,
    compile_expression,
    elements,
)
from emulator.cosmos.query.grammar import syntax_error
from emulator.cosmos.query.points import Bound, bound_by
from emulator.cosmos.query.sqlite import (
    TRUE,
    Budget,
    Path,
    Sql,
    Translator,
    constant,
    join,
    path_of,
    rank_of,
    value_of,
)
from emulator.cosmos.scope import Scope
from emulator.cosmos.values import UNDEFINED, dumps, loads
from emulator.store import Value

MAX_COUNT = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Column:
    """A part of the sort key."""

    sql: str
    descending: bool


@dataclass(frozen=True, slots=True)
class Source:
    """FROM and the fixed part of WHERE, as SQL."""

    table: str
    condition: Sql
    before: tuple[Value, ...] = ()  # parameters that stand in `table`


@dataclass(frozen=True, slots=True)
class Plan:
    """A query ready to run; `key` ends in the item's number, so that it is unique."""

    source: Source
    key: tuple[Column, ...]
    index_columns: str | None  # what an index should hold to serve this query
    alias: str
    joins: tuple[tuple[str, Evaluator], ...]
    residual: Evaluator | None  # what SQLite could not decide
    project: Evaluator | None  # None: whole documents
    aggregation: Aggregation | None
    distinct: bool
    skip: int
    left: int | None

    @property
    def index_name(self) -> str:
        return hashlib.sha256((self.index_columns or "").encode()).hexdigest()[:16]

    @property
    def one_to_one(self) -> bool:
        """Whether every row that SQLite gives is one result."""
        return not (self.residual or self.joins or self.distinct or self.project)

    def rows(self, body: str) -> Iterator[Row]:
        """The document, joined with its arrays, where it passes the filter."""
        rows = iter([{self.alias: loads(body)}])
        for alias, source in self.joins:
            rows = _expand(rows, alias, source)
        residual = self.residual
        return rows if residual is None else (row for row in rows if residual(row) is True)

    def results(self, body: str) -> Iterator[tuple[str, Any]]:
        """The results that a document yields: as text, and as value (for DISTINCT)."""
        if self.one_to_one:
            yield body, None
            return
        for row in self.rows(body):
            value = row[self.alias] if self.project is None else self.project(row)
            if value is UNDEFINED:
                continue
            try:
                yield dumps(value), value
            except ValueError as error:
                raise bad_request(f"A result cannot be written as JSON: {error}.") from None


def plan_query(
    select: s.Select,
    parameters: Parameters,
    container: Container,
    scope: Scope,
    *,
    cross_partition: bool,
) -> Plan:
    """Raises CosmosError 400 for what Azure refuses and what is not emulated."""
    if select.alias is None:
        raise syntax_error("A query without FROM is not emulated.")
    if select.group_by:
        raise bad_request("GROUP BY is not emulated; across partitions Azure refuses it as well.")
    aliases = frozenset({select.alias, *(join.alias for join in select.joins)})
    if len(aliases) != 1 + len(select.joins):
        raise syntax_error("An alias is used twice in FROM.", code="SC2012")
    joins = _joins(select, parameters)
    bound = None
    if scope.exact is None:
        bound = bound_by(select.where, select.alias, parameters, container.partition_key)
    decided = bound is not None and bound.decided
    pushed, residual, paths = _filter(select, parameters, aliases, decided=decided)
    key = _sort_key(select, parameters, container)
    aggregation = _aggregation(select, parameters, aliases, cross_partition=cross_partition)
    skip, left = _counts(select, parameters)
    known = {("id",), *container.partition_key.paths}
    return Plan(
        source=_source(container, scope, pushed, bound),
        key=key,
        index_columns=_index_columns(
            key,
            [path for path in paths if path not in known],
            narrow=scope.exact is not None or bound is not None,
        ),
        alias=select.alias,
        joins=joins,
        residual=residual,
        project=None if aggregation else _project(select, parameters, aliases),
        aggregation=aggregation,
        distinct=select.distinct,
        skip=skip,
        left=left,
    )


def _expand(rows: Iterator[Row], alias: str, source: Evaluator) -> Iterator[Row]:
    return ({**row, alias: item} for row in rows for item in elements(source(row)))


def _joins(select: s.Select, parameters: Parameters) -> tuple[tuple[str, Evaluator], ...]:
    assert select.alias is not None
    known = {select.alias}
    joins = []
    for item in select.joins:
        joins.append((item.alias, compile_expression(item.source, parameters, frozenset(known))))
        known.add(item.alias)
    return tuple(joins)


def _filter(
    select: s.Select, parameters: Parameters, aliases: frozenset[str], *, decided: bool
) -> tuple[Sql, Evaluator | None, list[Path]]:
    """What SQLite decides, what Python decides, and the paths that SQLite compares."""
    if select.where is None or decided:
        return TRUE, None, []
    # Compiled as a whole first: every name and parameter must be right, wherever it is decided.
    compile_expression(select.where, parameters, aliases)
    terms = select.where.terms if isinstance(select.where, s.And) else (select.where,)
    translator = Translator(select.alias, parameters)
    pushed: list[Sql] = []
    rest: list[s.Expression] = []
    paths: list[Path] = []
    budget = Budget()
    for term in terms:
        sql = translator.true(term)
        if sql is None or not budget.take(sql):
            rest.append(term)
            continue
        pushed.append(sql)
        if isinstance(term, s.Binary) and term.operator == "=":
            path = path_of(term.left, select.alias, parameters)
            paths += [path] if path else []
    residual = compile_expression(s.And(tuple(rest)), parameters, aliases) if rest else None
    return join(pushed, "AND"), residual, paths


def _source(container: Container, scope: Scope, pushed: Sql, bound: Bound | None) -> Source:
    text, values = scope.clause()
    condition = join([Sql(text, values), pushed], "AND")
    if bound is None:
        return Source(container.table, condition)
    if not bound.points:
        marks = ",".join("?" * len(bound.partitions))
        partitions = Sql(f"epk IN ({marks})", tuple(sorted(bound.partitions)))
        return Source(container.table, join([partitions, condition], "AND"))
    marks = ",".join(["(?,?)"] * len(bound.points))
    table = (
        f"(SELECT column1 AS wanted_epk, column2 AS wanted_id FROM (VALUES {marks})) "  # noqa: S608
        f"CROSS JOIN {container.table} ON epk = wanted_epk AND id = wanted_id"
    )
    return Source(table, condition, tuple(part for point in sorted(bound.points) for part in point))


def _sort_key(select: s.Select, parameters: Parameters, container: Container) -> tuple[Column, ...]:
    columns: list[Column] = []
    paths: list[tuple[Path, bool]] = []
    for order in select.order_by:
        path = path_of(order.expression, select.alias, parameters)
        if not path:
            raise bad_request(
                "Unsupported ORDER BY clause. ORDER BY item expression could not be mapped to a "
                "document path."
            )
        kind, value = rank_of(path), value_of(path)
        if kind is None or value is None:
            raise bad_request("ORDER BY over a property of this name is not emulated.")
        if not is_indexed(container, path):
            raise bad_request(
                "The index path corresponding to the specified order-by item is excluded."
            )
        paths.append((path, order.descending))
        if path not in (("id",), ("_ts",)):
            columns.append(Column(kind, order.descending))
        columns.append(Column(value, order.descending))
    if len(paths) > 1 and not serves_order(container, paths):
        raise bad_request(
            "The order by query does not have a corresponding composite index that it can be "
            "served from."
        )
    return (*columns, Column("number", bool(paths) and paths[-1][1]))


def _index_columns(key: tuple[Column, ...], paths: list[Path], *, narrow: bool) -> str | None:
    """An index on the sort key, or else on the first property compared by equality.

    Ids alone have one already.
    """
    columns = [column.sql for column in key[:-1]]
    if columns == ["id"]:
        columns = []
    if not columns and paths:
        parts = (rank_of(paths[0]), value_of(paths[0]))
        columns = [part for part in parts if part and not part.isdigit()]
    if not columns:
        return None
    return ", ".join(["epk", *columns] if narrow else columns)


def _aggregation(
    select: s.Select, parameters: Parameters, aliases: frozenset[str], *, cross_partition: bool
) -> Aggregation | None:
    projection = select.projection
    fields = [field.expression for field in projection.fields]
    if not any(map(has_aggregate, [projection.value, *fields] if projection.value else fields)):
        return None
    value = projection.value
    bare = isinstance(value, s.Call) and value.name in s.AGGREGATES
    if cross_partition and not bare:
        raise bad_request(
            "Cross partition query only supports 'VALUE <AggregateFunc>' for aggregates."
        )
    if select.order_by or select.distinct:
        raise bad_request("An aggregate with ORDER BY or DISTINCT is not emulated.")
    expression = value or s.ObjectOf(tuple(_named(projection)))
    return Aggregation(expression, parameters, aliases)


def _project(select: s.Select, parameters: Parameters, aliases: frozenset[str]) -> Evaluator | None:
    projection = select.projection
    if projection.star:
        if select.joins:
            raise syntax_error("'SELECT *' is only valid with a single input set.", code="SC2030")
        return None
    if projection.value is not None:
        whole = projection.value == s.Name(select.alias or "") and not select.joins
        return None if whole else compile_expression(projection.value, parameters, aliases)
    named = _named(projection)
    return build_object(
        tuple((name, compile_expression(field, parameters, aliases)) for name, field in named)
    )


def _named(projection: s.Projection) -> Iterator[tuple[str, s.Expression]]:
    """Each field with the name it gets: its alias, its property's name, or `$1`, `$2`, ..."""
    unnamed = 0
    for field in projection.fields:
        name = field.alias
        match field.expression:
            case s.Name(own) | s.Member(_, s.Literal(str() as own)) if name is None:
                name = own
        if name is None:
            unnamed += 1
            name = f"${unnamed}"
        yield name, field.expression


def _counts(select: s.Select, parameters: Parameters) -> tuple[int, int | None]:
    if select.top is not None and select.limit is not None:
        raise syntax_error("TOP and OFFSET LIMIT cannot stand in one query.")
    skip = 0 if select.offset is None else _count(select.offset, parameters)
    most = select.top if select.limit is None else select.limit
    return skip, None if most is None else _count(most, parameters)


def _count(node: s.Count, parameters: Parameters) -> int:
    _, value = constant(node, parameters)
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise bad_request("TOP, OFFSET and LIMIT need a whole number of zero or more.")
    return value
