"""The syntax tree of a query."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any  # a JSON value or UNDEFINED


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str  # with its @


@dataclass(frozen=True, slots=True)
class Name:
    """An alias from FROM or JOIN."""

    name: str


@dataclass(frozen=True, slots=True)
class Member:
    """`of[key]`; `of.name` is `of["name"]`."""

    of: "Expression"
    key: "Expression"


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str  # not, -, +
    operand: "Expression"


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str  # = != < <= > >= + - * / % || ??
    left: "Expression"
    right: "Expression"


@dataclass(frozen=True, slots=True)
class And:
    terms: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Or:
    terms: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class In:
    needle: "Expression"
    options: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Conditional:
    test: "Expression"
    then: "Expression"
    otherwise: "Expression"


@dataclass(frozen=True, slots=True)
class Call:
    """A built-in function, its name in upper case."""

    name: str
    arguments: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class ArrayOf:
    items: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class ObjectOf:
    fields: tuple[tuple[str, "Expression"], ...]


@dataclass(frozen=True, slots=True)
class Exists:
    """`EXISTS (SELECT ... FROM alias IN source WHERE ...)`."""

    alias: str
    source: "Expression"
    where: "Expression | None"


Expression = (
    Literal
    | Parameter
    | Name
    | Member
    | Unary
    | Binary
    | And
    | Or
    | In
    | Conditional
    | Call
    | ArrayOf
    | ObjectOf
    | Exists
)


@dataclass(frozen=True, slots=True)
class Field:
    expression: Expression
    alias: str | None


@dataclass(frozen=True, slots=True)
class Projection:
    """`*`, `VALUE expression`, or fields."""

    star: bool = False
    value: Expression | None = None
    fields: tuple[Field, ...] = ()


@dataclass(frozen=True, slots=True)
class Join:
    alias: str
    source: Expression


@dataclass(frozen=True, slots=True)
class Order:
    expression: Expression
    descending: bool


Count = Literal | Parameter


@dataclass(frozen=True, slots=True)
class Select:
    projection: Projection
    distinct: bool
    top: Count | None
    alias: str | None  # of the container, or None where the query has no FROM
    joins: tuple[Join, ...]
    where: Expression | None
    group_by: bool
    order_by: tuple[Order, ...]
    offset: Count | None
    limit: Count | None


AGGREGATES = frozenset({"COUNT", "SUM", "MIN", "MAX", "AVG"})
