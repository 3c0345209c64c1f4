"""COUNT, SUM, MIN, MAX, AVG over the rows of a query.

Undefined arguments are passed over; an argument that is no number makes SUM and AVG
undefined, an array or object makes MIN and MAX undefined (Azure: "Aggregate functions").
"""

from typing import Any, Protocol

from emulator.cosmos.query import syntax as s
from emulator.cosmos.query.evaluate import Evaluator, Parameters, Row, compile_expression
from emulator.cosmos.query.functions import is_number, number
from emulator.cosmos.query.grammar import syntax_error
from emulator.cosmos.values import UNDEFINED, Rank, rank


class Aggregate(Protocol):
    def add(self, value: Any) -> None: ...

    def result(self) -> Any: ...


class Count:
    def __init__(self) -> None:
        self.count = 0

    def add(self, value: Any) -> None:
        self.count += value is not UNDEFINED

    def result(self) -> Any:
        return self.count


class Sum:
    def __init__(self, *, average: bool) -> None:
        self._average = average
        self._sum: float = 0
        self._count = 0
        self._spoilt = False

    def add(self, value: Any) -> None:
        if is_number(value):
            self._sum += value
            self._count += 1
        elif value is not UNDEFINED:
            self._spoilt = True

    def result(self) -> Any:
        if self._spoilt or (self._average and not self._count):
            return UNDEFINED
        return number(self._sum / self._count if self._average else self._sum)


class Extreme:
    def __init__(self, *, largest: bool) -> None:
        self._largest = largest
        self._best: Any = UNDEFINED
        self._spoilt = False

    def add(self, value: Any) -> None:
        kind = rank(value)
        if kind >= Rank.ARRAY:
            self._spoilt = True
        if self._spoilt or kind is Rank.UNDEFINED:
            return
        if self._best is UNDEFINED or (_key(value) > _key(self._best)) is self._largest:
            self._best = value

    def result(self) -> Any:
        return UNDEFINED if self._spoilt else self._best


def _key(value: Any) -> tuple[int, Any]:
    return rank(value), 0 if value is None else value


class Aggregation:
    """The aggregates of a projection, and the projection over their results."""

    def __init__(
        self, expression: s.Expression, parameters: Parameters, aliases: frozenset[str]
    ) -> None:
        self._arguments: list[Evaluator] = []
        self._aggregates: list[Aggregate] = []
        self._parameters = parameters
        self._aliases = aliases
        self.counts_rows_only = True
        outer = self._extract(expression)
        self._outer = compile_expression(outer, parameters, frozenset({RESULTS}))

    def add(self, row: Row) -> None:
        for argument, aggregate in zip(self._arguments, self._aggregates, strict=True):
            aggregate.add(argument(row))

    def add_count(self, rows: int) -> None:
        """Count rows without looking at them, where `counts_rows_only`."""
        for aggregate in self._aggregates:
            assert isinstance(aggregate, Count)
            aggregate.count += rows

    def result(self) -> Any:
        return self._outer({RESULTS: [aggregate.result() for aggregate in self._aggregates]})

    def _extract(self, node: s.Expression) -> s.Expression:
        """The expression with each aggregate replaced by a look-up of its result."""
        match node:
            case s.Call(name, arguments) if name in s.AGGREGATES:
                return self._register(name, arguments)
            case s.Call(name, arguments):
                return s.Call(name, tuple(map(self._extract, arguments)))
            case s.Binary(sign, left, right):
                return s.Binary(sign, self._extract(left), self._extract(right))
            case s.ObjectOf(fields):
                return s.ObjectOf(tuple((name, self._extract(field)) for name, field in fields))
            case s.Name() | s.Member():
                raise syntax_error(
                    "Property reference is invalid in the select list: it is not contained in "
                    "an aggregate function.",
                    code="SC2102",
                )
            case _:
                return node

    def _register(self, name: str, arguments: tuple[s.Expression, ...]) -> s.Expression:
        if len(arguments) != 1:
            raise syntax_error(f"'{name}' needs one argument.", code="SC2050")
        (argument,) = arguments
        self.counts_rows_only &= name == "COUNT" and isinstance(argument, s.Literal)
        self._arguments.append(compile_expression(argument, self._parameters, self._aliases))
        self._aggregates.append(_create(name))
        return s.Member(s.Name(RESULTS), s.Literal(len(self._aggregates) - 1))


RESULTS = "$aggregates"


def has_aggregate(node: s.Expression) -> bool:
    """Whether an aggregate stands anywhere in a projected expression."""
    match node:
        case s.Call(name, arguments):
            return name in s.AGGREGATES or any(map(has_aggregate, arguments))
        case s.Binary(_, left, right):
            return has_aggregate(left) or has_aggregate(right)
        case s.ObjectOf(fields):
            return any(has_aggregate(field) for _, field in fields)
        case _:
            return False


def _create(name: str) -> Aggregate:
    match name:
        case "COUNT":
            return Count()
        case "SUM" | "AVG":
            return Sum(average=name == "AVG")
        case _:
            return Extreme(largest=name == "MAX")
