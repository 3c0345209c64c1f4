"""From an expression to SQLite, where SQLite can decide it exactly as `evaluate` does.

A condition becomes two SQL expressions, one for "is true" and one for "is false"; what is
neither is undefined. Every comparison has the form `rank AND value`, which is also the form
of the indexes that the planner adds. What cannot be translated is None, and Python decides.
"""

import re
from dataclasses import dataclass
from typing import Any

from emulator.cosmos.query import syntax as s
from emulator.cosmos.query.evaluate import Parameters, parameter
from emulator.cosmos.values import Rank, rank
from emulator.store import Value

Path = tuple[str | int, ...]

MAX_INTEGER = 2**63 - 1
PARENTHESES = re.compile(r"[()]")
FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
NEGATED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}
TYPE_TESTS = {
    "IS_NULL": Rank.NULL,
    "IS_BOOL": Rank.BOOLEAN,
    "IS_NUMBER": Rank.NUMBER,
    "IS_STRING": Rank.STRING,
    "IS_ARRAY": Rank.ARRAY,
    "IS_OBJECT": Rank.OBJECT,
}
STRING_TESTS = {"CONTAINS", "STARTSWITH", "ENDSWITH", "STRINGEQUALS"}


@dataclass(frozen=True, slots=True)
class Sql:
    """An SQL expression of value 0 or 1, never NULL, and its parameters."""

    text: str
    parameters: tuple[Value, ...] = ()


TRUE, FALSE = Sql("1"), Sql("0")


def rank_of(path: Path) -> str | None:
    """SQL for the type of the value at a path; None where SQLite cannot name the path."""
    if path in (("id",), ("_ts",)):
        return str(int(Rank.STRING if path == ("id",) else Rank.NUMBER))
    location = _location(path)
    if location is None:
        return None
    return (
        f"CASE json_type(body, {location}) WHEN 'null' THEN 1 WHEN 'true' THEN 2 "
        "WHEN 'false' THEN 2 WHEN 'integer' THEN 3 WHEN 'real' THEN 3 WHEN 'text' THEN 4 "
        "WHEN 'array' THEN 5 WHEN 'object' THEN 6 ELSE 0 END"
    )


def value_of(path: Path) -> str | None:
    """SQL for the value at a path: NULL for null and undefined, text for arrays and objects."""
    if path == ("id",):
        return "id"
    if path == ("_ts",):
        return "ts"
    location = _location(path)
    return None if location is None else f"(body ->> {location})"


def path_of(node: s.Expression, alias: str | None, parameters: Parameters) -> Path | None:
    """`c.a["b"][0]` as ("a", "b", 0); None for anything that is not a path of the container's."""
    match node:
        case s.Name(name) if name == alias:
            return ()
        case s.Member(of, key):
            outer = path_of(of, alias, parameters)
            known, name = constant(key, parameters)
            if outer is None or not known or isinstance(name, bool):
                return None
            return (*outer, name) if isinstance(name, str | int) else None
    return None


def constant(node: s.Expression, parameters: Parameters) -> tuple[bool, Any]:
    """Whether the expression is a literal or a parameter, and its value."""
    match node:
        case s.Literal(value):
            return True, value
        case s.Parameter(name):
            return True, parameter(parameters, name)
        case s.Unary("-", s.Literal(value)) if type(value) in (int, float):
            return True, -value
    return False, None


class Translator:
    """Translates conditions on one container's items."""

    def __init__(self, alias: str | None, parameters: Parameters) -> None:
        self._alias = alias
        self._parameters = parameters

    def true(self, node: s.Expression) -> Sql | None:
        """SQL for "the expression is true"."""
        return self._translate(node, wanted=True)

    def _translate(self, node: s.Expression, *, wanted: bool) -> Sql | None:
        match node:
            case s.Unary("not", operand):
                return self._translate(operand, wanted=not wanted)
            case s.And(terms):
                return self._junction(terms, "AND" if wanted else "OR", wanted=wanted)
            case s.Or(terms):
                return self._junction(terms, "OR" if wanted else "AND", wanted=wanted)
            case s.Binary(sign, left, right) if sign in FLIPPED:
                return self._comparison(sign, left, right, wanted=wanted)
            case s.In(needle, options):
                return self._in(needle, options, wanted=wanted)
            case s.Call(name, arguments):
                return self._call(name, arguments, wanted=wanted)
            case s.Literal(value):
                return TRUE if value is wanted else FALSE
            case s.Member():
                return self._boolean(node, wanted=wanted)
        return None

    def _junction(self, terms: tuple[s.Expression, ...], word: str, *, wanted: bool) -> Sql | None:
        parts = [self._translate(term, wanted=wanted) for term in terms]
        known = [part for part in parts if part is not None]
        return join(known, word) if len(known) == len(parts) else None

    def _path(self, node: s.Expression) -> tuple[str, str] | None:
        """SQL for rank and value of a path."""
        path = path_of(node, self._alias, self._parameters)
        if not path:
            return None
        kind, value = rank_of(path), value_of(path)
        return None if kind is None or value is None else (kind, value)

    def _comparison(
        self, sign: str, left: s.Expression, right: s.Expression, *, wanted: bool
    ) -> Sql | None:
        if constant(left, self._parameters)[0]:
            sign, left, right = FLIPPED[sign], right, left
        known, value = constant(right, self._parameters)
        if not known:
            return None
        at = self._path(left)
        if at is None or not _bindable(value):
            return None
        if sign in ("=", "!="):
            return _equal(at, value, same=(sign == "=") is wanted)
        return _ordered(at, sign if wanted else NEGATED[sign], value)

    def _in(
        self, needle: s.Expression, options: tuple[s.Expression, ...], *, wanted: bool
    ) -> Sql | None:
        at = self._path(needle)
        values = [constant(option, self._parameters) for option in options]
        if at is None or not all(known and _bindable(value) for known, value in values):
            return None
        found = _one_of(at, [value for _, value in values])
        return found if wanted else _defined_but_not(at, found)

    def _boolean(self, node: s.Expression, *, wanted: bool) -> Sql | None:
        at = self._path(node)
        return None if at is None else _equal(at, wanted, same=True)

    def _call(self, name: str, arguments: tuple[s.Expression, ...], *, wanted: bool) -> Sql | None:
        at = self._path(arguments[0]) if arguments else None
        if at is None:
            return None
        if name == "IS_DEFINED" and len(arguments) == 1:
            return Sql(f"{at[0]} {'<>' if wanted else '='} 0")
        if name in TYPE_TESTS and len(arguments) == 1:
            return Sql(f"{at[0]} {'=' if wanted else '<>'} {int(TYPE_TESTS[name])}")
        if name in STRING_TESTS and len(arguments) == 2:
            known, part = constant(arguments[1], self._parameters)
            if known and isinstance(part, str) and _bindable(part):
                return _string_test(at, name, part, wanted=wanted)
        return None


def join(parts: list[Sql], word: str) -> Sql:
    """A conjunction or disjunction as a balanced tree: SQLite limits the depth to 1,000."""
    if not parts:
        return TRUE if word == "AND" else FALSE
    if len(parts) == 1:
        return parts[0]
    middle = len(parts) // 2
    left, right = join(parts[:middle], word), join(parts[middle:], word)
    return Sql(f"({left.text} {word} {right.text})", left.parameters + right.parameters)


@dataclass
class Budget:
    """How much of a query SQLite will take: its length, parameters and parentheses are limited."""

    characters: int = 500_000  # of 1,000,000
    parameters: int = 16_000  # of 32,766
    nesting: int = 30  # its parser's stack has 100 entries

    def take(self, sql: Sql) -> bool:
        """Spend on a condition; False, and nothing spent, where it is too much."""
        if len(sql.text) > self.characters or len(sql.parameters) > self.parameters:
            return False
        depth = 0
        for mark in PARENTHESES.findall(sql.text):
            depth += 1 if mark == "(" else -1
            if depth > self.nesting:
                return False
        self.characters -= len(sql.text)
        self.parameters -= len(sql.parameters)
        return True


def _location(path: Path) -> str | None:
    """SQLite's JSON path as an SQL literal; it cannot hold names that JSON would escape."""
    text = "$"
    for key in path:
        if isinstance(key, int):
            if not 0 <= key <= MAX_INTEGER:
                return None
            text += f"[{key}]"
        elif not key or '"' in key or "\\" in key or not key.isprintable():
            return None
        else:
            text += f'."{key}"'
    return "'" + text.replace("'", "''") + "'"


def _bindable(value: Any) -> bool:
    """Whether SQLite takes the constant and compares it as Python does."""
    match rank(value):
        case Rank.UNDEFINED | Rank.NULL | Rank.BOOLEAN:
            return True
        case Rank.NUMBER:
            return isinstance(value, float) or abs(value) <= MAX_INTEGER
        case Rank.STRING:
            return "\0" not in value and not any("\ud800" <= mark <= "\udfff" for mark in value)
    return False


def _equal(at: tuple[str, str], value: Any, *, same: bool) -> Sql:
    found = _one_of(at, [value])
    if same:
        return found
    return FALSE if rank(value) is Rank.UNDEFINED else _defined_but_not(at, found)


def _defined_but_not(at: tuple[str, str], found: Sql) -> Sql:
    return Sql(f"({at[0]} <> 0 AND NOT {found.text})", found.parameters)


def _one_of(at: tuple[str, str], values: list[Any]) -> Sql:
    kind, column = at
    choices = []
    for wanted in (Rank.BOOLEAN, Rank.NUMBER, Rank.STRING):
        group = [value for value in values if rank(value) is wanted]
        if len(group) == 1:
            choices.append(Sql(f"({kind} = {int(wanted)} AND {column} = ?)", tuple(group)))
        elif group:
            marks = ",".join("?" * len(group))
            choices.append(Sql(f"({kind} = {int(wanted)} AND {column} IN ({marks}))", tuple(group)))
    if any(value is None for value in values):
        choices.append(Sql(f"({kind} = 1)"))
    return join(choices, "OR")


def _ordered(at: tuple[str, str], sign: str, value: Any) -> Sql:
    kind, column = at
    wanted = rank(value)
    if wanted is Rank.UNDEFINED:
        return FALSE
    if wanted is Rank.NULL:
        return Sql(f"{kind} = 1") if sign in ("<=", ">=") else FALSE
    return Sql(f"({kind} = {int(wanted)} AND {column} {sign} ?)", (value,))


def _string_test(at: tuple[str, str], name: str, part: str, *, wanted: bool) -> Sql:
    kind, column = at
    match name:
        case "CONTAINS":
            test = Sql(f"instr({column}, ?) > 0", (part,)) if part else TRUE
        case "ENDSWITH":
            test = Sql(f"substr({column}, {-len(part)}) = ?", (part,)) if part else TRUE
        case "STRINGEQUALS":
            test = Sql(f"{column} = ?", (part,))
        case _:
            test = Sql(f"substr({column}, 1, {len(part)}) = ?", (part,))
    negation = "" if wanted else "NOT "
    return Sql(f"({kind} = 4 AND {negation}({test.text}))", test.parameters)
