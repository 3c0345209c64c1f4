"""From the text of a query to its syntax tree."""

import json
import re
from functools import lru_cache
from typing import Any, NoReturn

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedInput, UnexpectedToken, VisitError

from emulator.cosmos.errors import CosmosError, bad_request, not_emulated
from emulator.cosmos.query import syntax as s
from emulator.cosmos.values import UNDEFINED

MAX_QUERY_CHARACTERS = 512 * 1024  # Azure's limit for the text of a query

# Azure takes these for keywords after a dot as well: c.value must be written c["value"].
RESERVED = frozenset(
    re.findall(
        r"\w+",
        "and array as asc between by desc distinct escape exists false from group in join like "
        "limit not null offset or order select top true udf undefined value where ",
    )
)

GRAMMAR = r"""
query: "SELECT"i distinct top projection from_clause where group_by order_by offset_limit
distinct: DISTINCT?
top: ("TOP"i count)?
?projection: "*" -> star
    | "VALUE"i expression -> value_of
    | field ("," field)* -> fields
field: expression ["AS"i? NAME]
from_clause: ("FROM"i source join*)?
source: NAME ["AS"i? NAME]
join: "JOIN"i NAME "IN"i postfix
where: ("WHERE"i expression)?
group_by: ("GROUP"i "BY"i expression ("," expression)*)?
order_by: ("ORDER"i "BY"i order ("," order)*)?
order: expression (ASC | DESC)?
offset_limit: ("OFFSET"i count "LIMIT"i count)?
?count: INTEGER -> number
    | parameter

condition: "FROM"i NAME ["AS"i? NAME] "WHERE"i expression

?expression: or_expression
    | or_expression "?" expression ":" expression -> conditional
    | or_expression "??" expression -> coalesce
?or_expression: and_expression
    | and_expression ("OR"i and_expression)+ -> any_of
?and_expression: not_expression
    | not_expression ("AND"i not_expression)+ -> all_of
?not_expression: comparison
    | "NOT"i not_expression -> negation
?comparison: concatenation
    | concatenation COMPARISON concatenation -> binary
    | concatenation NOT? "IN"i "(" expression ("," expression)* ")" -> in_list
    | concatenation NOT? "BETWEEN"i concatenation "AND"i concatenation -> between
?concatenation: sum
    | concatenation CONCATENATE sum -> binary
?sum: product
    | sum (PLUS | MINUS) product -> binary
?product: unary
    | product (TIMES | DIVIDE | MODULO) unary -> binary
?unary: postfix
    | (PLUS | MINUS) unary -> sign
?postfix: primary
    | postfix "." NAME -> property
    | postfix "[" expression "]" -> element
?primary: constant
    | parameter
    | NAME -> name
    | NAME "(" [expression ("," expression)*] ")" -> call
    | "UDF"i "." NAME "(" [expression ("," expression)*] ")" -> user_defined
    | "EXISTS"i "(" "SELECT"i projection "FROM"i NAME "IN"i postfix where ")" -> exists
    | "[" [expression ("," expression)*] "]" -> array
    | "{" [pair ("," pair)*] "}" -> object
    | "(" expression ")"
pair: (STRING | NAME) ":" expression
parameter: PARAMETER
?constant: INTEGER -> number
    | DECIMAL -> number
    | STRING -> string
    | "TRUE"i -> true
    | "FALSE"i -> false
    | "NULL"i -> null
    | "UNDEFINED"i -> undefined

DISTINCT: "DISTINCT"i
NOT: "NOT"i
ASC: "ASC"i
DESC: "DESC"i
COMPARISON: "=" | "!=" | "<>" | "<=" | ">=" | "<" | ">"
CONCATENATE: "||"
PLUS: "+"
MINUS: "-"
TIMES: "*"
DIVIDE: "/"
MODULO: "%"
NAME: /[a-z_][a-z0-9_]*/i
PARAMETER: /@[a-z_][a-z0-9_]*/i
INTEGER: /\d+/
DECIMAL: /(\d+\.\d*|\.\d+)(e[+-]?\d+)?|\d+e[+-]?\d+/i
STRING: /"(\\.|[^"\\])*"|'(\\.|[^'\\])*'/s
COMMENT: /--[^\n]*/
%import common.WS
%ignore WS
%ignore COMMENT
"""


def parse_query(text: str) -> s.Select:
    """Raises CosmosError 400, naming the place in the text."""
    tree = _parse(text, "query")
    assert isinstance(tree, s.Select)
    return tree


def parse_condition(text: str) -> tuple[str, s.Expression]:
    """`from c where ...` of a conditional patch, as alias and expression. Raises 400."""
    alias, expression = _parse(text, "condition")
    return alias, expression


@lru_cache(maxsize=512)
def _parse(text: str, start: str) -> Any:
    if len(text) > MAX_QUERY_CHARACTERS:
        raise bad_request(f"The query has more than {MAX_QUERY_CHARACTERS} characters.")
    try:
        return PARSER.parse(text, start=start)
    except UnexpectedInput as error:
        _raise_syntax_error(text, error)
    except VisitError as error:
        if isinstance(error.orig_exc, CosmosError):
            raise error.orig_exc from None
        raise bad_request(f"The query cannot be read: {error.orig_exc}") from None


def _raise_syntax_error(text: str, error: UnexpectedInput) -> NoReturn:
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    start = len(text) if at_end else max(error.pos_in_stream or 0, 0)
    near = re.match(r"\s*(\w+|\S)?", text[start : start + 40])
    token = near.group(1) if near and near.group(1) else "end of the query"
    raise syntax_error(
        f"Syntax error, incorrect syntax near '{token}'. "
        f"It is no valid SQL of Cosmos DB, or not emulated by the local one.",
        start,
    )


def syntax_error(message: str, start: int = 0, code: str = "SC1001") -> CosmosError:
    """Azure's form of an error in a query."""
    details = {
        "severity": "Error",
        "location": {"start": start, "end": start + 1},
        "code": code,
        "message": message,
    }
    return bad_request(json.dumps({"errors": [details]}))


@v_args(inline=True)
class _Build(Transformer[Token, Any]):
    """Builds the syntax tree while the text is parsed."""

    def query(self, *parts: Any) -> s.Select:
        distinct, top, projection, from_clause, where, group_by, order_by, offset_limit = parts
        alias, joins = from_clause
        offset, limit = offset_limit
        return s.Select(
            projection, distinct, top, alias, joins, where, group_by, order_by, offset, limit
        )

    def distinct(self, *token: Token) -> bool:
        return bool(token)

    def top(self, *count: s.Count) -> s.Count | None:
        return count[0] if count else None

    def star(self) -> s.Projection:
        return s.Projection(star=True)

    def value_of(self, expression: s.Expression) -> s.Projection:
        return s.Projection(value=expression)

    def fields(self, *fields: s.Field) -> s.Projection:
        return s.Projection(fields=fields)

    def field(self, expression: s.Expression, alias: Token | None) -> s.Field:
        return s.Field(expression, str(alias) if alias else None)

    def from_clause(self, *parts: Any) -> tuple[str | None, tuple[s.Join, ...]]:
        return (parts[0], parts[1:]) if parts else (None, ())

    def source(self, name: Token, alias: Token | None) -> str:
        return str(alias or name)

    def join(self, alias: Token, source: s.Expression) -> s.Join:
        return s.Join(str(alias), source)

    def where(self, *expression: s.Expression) -> s.Expression | None:
        return expression[0] if expression else None

    def group_by(self, *expressions: s.Expression) -> bool:
        return bool(expressions)

    def order_by(self, *orders: s.Order) -> tuple[s.Order, ...]:
        return orders

    def order(self, expression: s.Expression, *direction: Token) -> s.Order:
        return s.Order(expression, bool(direction) and direction[0].type == "DESC")

    def offset_limit(self, *counts: s.Count) -> tuple[s.Count | None, s.Count | None]:
        return (counts[0], counts[1]) if counts else (None, None)

    def condition(
        self, name: Token, alias: Token | None, expression: s.Expression
    ) -> tuple[str, s.Expression]:
        return str(alias or name), expression

    def conditional(self, test: Any, then: Any, otherwise: Any) -> s.Conditional:
        return s.Conditional(test, then, otherwise)

    def coalesce(self, left: Any, right: Any) -> s.Binary:
        return s.Binary("??", left, right)

    def any_of(self, *terms: s.Expression) -> s.Or:
        return s.Or(terms)

    def all_of(self, *terms: s.Expression) -> s.And:
        return s.And(terms)

    def negation(self, operand: s.Expression) -> s.Unary:
        return s.Unary("not", operand)

    def binary(self, left: Any, operator: Token, right: Any) -> s.Binary:
        return s.Binary("!=" if operator == "<>" else str(operator), left, right)

    def in_list(self, needle: Any, *rest: Any) -> s.Expression:
        negated = isinstance(rest[0], Token)
        found = s.In(needle, rest[1:] if negated else rest)
        return s.Unary("not", found) if negated else found

    def between(self, value: Any, *rest: Any) -> s.Expression:
        negated = isinstance(rest[0], Token)
        low, high = rest[1:] if negated else rest
        found = s.And((s.Binary(">=", value, low), s.Binary("<=", value, high)))
        return s.Unary("not", found) if negated else found

    def sign(self, operator: Token, operand: s.Expression) -> s.Expression:
        return s.Unary(str(operator), operand)

    def property(self, of: s.Expression, name: Token) -> s.Member:
        if name.lower() in RESERVED:
            raise syntax_error(
                f"Syntax error, incorrect syntax near '{name}': it is a keyword; write "
                f'["{name}"] to use it as a property.',
                name.start_pos or 0,
            )
        return s.Member(of, s.Literal(str(name)))

    def element(self, of: s.Expression, key: s.Expression) -> s.Member:
        return s.Member(of, key)

    def name(self, name: Token) -> s.Name:
        return s.Name(str(name))

    def call(self, name: Token, *arguments: s.Expression | None) -> s.Call:
        return s.Call(name.upper(), tuple(a for a in arguments if a is not None))

    def user_defined(self, name: Token, *_: s.Expression | None) -> s.Expression:
        raise not_emulated(f"The user-defined function udf.{name}")

    def exists(self, _: s.Projection, alias: Token, source: Any, where: Any) -> s.Exists:
        return s.Exists(str(alias), source, where)

    def array(self, *items: s.Expression | None) -> s.ArrayOf:
        return s.ArrayOf(tuple(item for item in items if item is not None))

    def object(self, *pairs: tuple[str, s.Expression] | None) -> s.ObjectOf:
        return s.ObjectOf(tuple(pair for pair in pairs if pair is not None))

    def pair(self, key: Token, value: s.Expression) -> tuple[str, s.Expression]:
        return (unquote(key) if key.type == "STRING" else str(key)), value

    def parameter(self, name: Token) -> s.Parameter:
        return s.Parameter(str(name))

    def number(self, text: Token) -> s.Literal:
        return s.Literal(int(text) if text.type == "INTEGER" else float(text))

    def string(self, text: Token) -> s.Literal:
        return s.Literal(unquote(text))

    def true(self) -> s.Literal:
        return s.Literal(True)

    def false(self) -> s.Literal:
        return s.Literal(False)

    def null(self) -> s.Literal:
        return s.Literal(None)

    def undefined(self) -> s.Literal:
        return s.Literal(UNDEFINED)


ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def unquote(text: str) -> str:
    """A string in either quotes, with the escapes of JSON."""

    def replace(match: re.Match[str]) -> str:
        code = match.group(1)
        return chr(int(code[1:], 16)) if len(code) == 5 else ESCAPES.get(code, code)

    plain = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", replace, text[1:-1], flags=re.DOTALL)
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


PARSER = Lark(GRAMMAR, parser="lalr", start=["query", "condition"], transformer=_Build())
