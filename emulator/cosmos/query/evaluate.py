"""From an expression to a Python function of a row, with Cosmos DB's undefined.

`=` and `!=` compare values of any type; `<` and its kin are undefined across types and for
arrays and objects. AND, OR and NOT take what is no boolean for undefined.
"""

import math
import operator
from collections.abc import Callable, Mapping
from typing import Any

from emulator.cosmos.errors import bad_request
from emulator.cosmos.query import syntax as s
from emulator.cosmos.query.functions import FUNCTIONS, is_number, number
from emulator.cosmos.query.grammar import syntax_error
from emulator.cosmos.values import UNDEFINED, Rank, equal, rank

Row = dict[str, Any]  # alias -> value
Evaluator = Callable[[Row], Any]
Parameters = Mapping[str, Any]

ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
ARITHMETIC: dict[str, Callable[[Any, Any], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
}


def compile_expression(
    expression: s.Expression, parameters: Parameters, aliases: frozenset[str]
) -> Evaluator:
    """Raises CosmosError 400 for unknown names, functions and parameters."""
    return _Compiler(parameters, aliases).compile(expression)


def parameter(parameters: Parameters, name: str) -> Any:
    """Raises CosmosError 400."""
    if name not in parameters:
        raise bad_request(f"The query uses {name}, but the request gives no such parameter.")
    return parameters[name]


class _Compiler:
    def __init__(self, parameters: Parameters, aliases: frozenset[str]) -> None:
        self._parameters = parameters
        self._aliases = aliases

    def compile(self, node: s.Expression) -> Evaluator:
        match node:
            case s.Literal(value):
                return lambda _: value
            case s.Parameter(name):
                given = parameter(self._parameters, name)
                return lambda _: given
            case s.Name(name):
                return self._name(name)
            case s.Member(of, key):
                return self._member(of, key)
            case s.Call(name, arguments):
                return self._call(name, arguments)
            case s.ArrayOf(items):
                return _array(tuple(map(self.compile, items)))
            case s.ObjectOf(fields):
                return build_object(tuple((name, self.compile(field)) for name, field in fields))
            case s.Exists(alias, source, where):
                return self._exists(alias, source, where)
            case _:
                return self._operator(node)

    def _operator(
        self, node: s.And | s.Or | s.Unary | s.Binary | s.In | s.Conditional
    ) -> Evaluator:
        match node:
            case s.And(terms):
                return _connect(tuple(map(self.compile, terms)), decisive=False)
            case s.Or(terms):
                return _connect(tuple(map(self.compile, terms)), decisive=True)
            case s.Unary(sign, operand):
                return _unary(sign, self.compile(operand))
            case s.Binary(sign, left, right):
                return _binary(sign, self.compile(left), self.compile(right))
            case s.In(needle, options):
                return _in(self.compile(needle), tuple(map(self.compile, options)))
            case s.Conditional(test, then, otherwise):
                t, a, b = self.compile(test), self.compile(then), self.compile(otherwise)
                return lambda row: a(row) if t(row) is True else b(row)

    def _name(self, name: str) -> Evaluator:
        if name not in self._aliases:
            raise syntax_error(f"Identifier '{name}' could not be resolved.", code="SC2001")
        return lambda row: row[name]

    def _member(self, of: s.Expression, key: s.Expression) -> Evaluator:
        holder = self.compile(of)
        if isinstance(key, s.Literal) and isinstance(key.value, str):
            name = key.value

            def get(row: Row) -> Any:
                value = holder(row)
                return value.get(name, UNDEFINED) if isinstance(value, dict) else UNDEFINED

            return get
        index = self.compile(key)
        return lambda row: _element(holder(row), index(row))

    def _call(self, name: str, arguments: tuple[s.Expression, ...]) -> Evaluator:
        if name in s.AGGREGATES:
            raise syntax_error(f"The aggregate {name} is only allowed in SELECT.", code="SC2040")
        if name not in FUNCTIONS:
            raise syntax_error(
                f"'{name}' is no built-in function that the local Cosmos DB emulates.",
                code="SC2005",
            )
        function, fewest, most = FUNCTIONS[name]
        if not fewest <= len(arguments) <= most:
            raise syntax_error(f"'{name}' needs {fewest} to {most} arguments.", code="SC2050")
        compiled = tuple(map(self.compile, arguments))
        if len(compiled) == 1:
            (only,) = compiled
            return lambda row: function(only(row))
        return lambda row: function(*[argument(row) for argument in compiled])

    def _exists(self, alias: str, source: s.Expression, where: s.Expression | None) -> Evaluator:
        array = self.compile(source)
        inner = _Compiler(self._parameters, self._aliases | {alias})
        test = inner.compile(where) if where is not None else _true
        return lambda row: any(test({**row, alias: item}) is True for item in elements(array(row)))


def elements(value: Any) -> list[Any]:
    """What a JOIN or EXISTS iterates over: nothing where the value is no array."""
    return value if isinstance(value, list) else []


def build_object(fields: tuple[tuple[str, Evaluator], ...]) -> Evaluator:
    """An object of the fields that are defined."""

    def build(row: Row) -> dict[str, Any]:
        values = ((name, field(row)) for name, field in fields)
        return {name: value for name, value in values if value is not UNDEFINED}

    return build


def _true(_: Row) -> bool:
    return True


def _array(items: tuple[Evaluator, ...]) -> Evaluator:
    def build(row: Row) -> list[Any]:
        return [value for item in items if (value := item(row)) is not UNDEFINED]

    return build


def _element(value: Any, key: Any) -> Any:
    if isinstance(value, dict):
        return value.get(key, UNDEFINED) if isinstance(key, str) else UNDEFINED
    if isinstance(value, list) and is_number(key) and 0 <= key < len(value):
        return value[int(key)] if key == int(key) else UNDEFINED
    return UNDEFINED


def _connect(terms: tuple[Evaluator, ...], decisive: bool) -> Evaluator:
    """AND, which one False decides, or OR, which one True decides; else undefined stays so."""

    def evaluate(row: Row) -> Any:
        result: Any = not decisive
        for term in terms:
            value = term(row)
            if value is decisive:
                return decisive
            if value is not (not decisive):
                result = UNDEFINED
        return result

    return evaluate


def _unary(sign: str, operand: Evaluator) -> Evaluator:
    if sign == "not":

        def negate(row: Row) -> Any:
            value = operand(row)
            return (not value) if isinstance(value, bool) else UNDEFINED

        return negate
    factor = -1 if sign == "-" else 1

    def signed(row: Row) -> Any:
        value = operand(row)
        return factor * value if is_number(value) else UNDEFINED

    return signed


def _binary(sign: str, left: Evaluator, right: Evaluator) -> Evaluator:
    if sign in ORDERED:
        return lambda row: order(sign, left(row), right(row))
    if sign in ("=", "!="):
        wanted = sign == "="

        def compare(row: Row) -> Any:
            a, b = left(row), right(row)
            if a is UNDEFINED or b is UNDEFINED:
                return UNDEFINED
            return equal(a, b) is wanted

        return compare
    if sign == "||":
        return lambda row: FUNCTIONS["CONCAT"][0](left(row), right(row))
    if sign == "??":

        def coalesce(row: Row) -> Any:
            value = left(row)
            return right(row) if value is UNDEFINED else value

        return coalesce
    return lambda row: _calculate(sign, left(row), right(row))


def order(sign: str, left: Any, right: Any) -> Any:
    """`<`, `<=`, `>`, `>=`: only scalars of one type have an order."""
    kind = rank(left)
    if kind is not rank(right) or not Rank.NULL <= kind <= Rank.STRING:
        return UNDEFINED
    if kind is Rank.NULL:
        return sign in ("<=", ">=")
    return ORDERED[sign](left, right)


def _calculate(sign: str, left: Any, right: Any) -> Any:
    if not is_number(left) or not is_number(right):
        return UNDEFINED
    try:
        return number(ARITHMETIC[sign](left, right))
    except (ArithmeticError, ValueError):
        return UNDEFINED


def _in(needle: Evaluator, options: tuple[Evaluator, ...]) -> Evaluator:
    def evaluate(row: Row) -> Any:
        value = needle(row)
        if value is UNDEFINED:
            return UNDEFINED
        return any(equal(value, option(row)) for option in options)

    return evaluate
