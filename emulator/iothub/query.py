"""The query language of twins, compiled to SQL: `SELECT * FROM devices [WHERE …]`.

Facts: "IoT Hub query language" of Azure's documentation. Conditions compare deviceId, status,
connectionState, tags, desired and reported properties with =, !=, <>, <, <=, >, >=, IN and
is_defined(), joined by AND, OR and NOT. Projections, COUNT, GROUP BY and jobs are refused.
"""

import json
import re
from dataclasses import dataclass

from emulator.iothub.errors import invalid, not_emulated
from emulator.store import Value

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
        |(?P<number>-?\d+(?:\.\d+)?)
        |(?P<name>[A-Za-z_$][\w$-]*(?:\.[\w$-]+)*)
        |(?P<sign><>|<=|>=|!=|[=<>()\[\],*]))""",
    re.VERBOSE,
)
_HEAD = re.compile(r"\s*SELECT\s+(?P<what>.+?)\s+FROM\s+(?P<where>[\w.]+)\s*", re.I | re.S)
_WHERE = re.compile(r"WHERE\b", re.I)

_COLUMNS = {
    "deviceid": "d.device_id",
    "status": "d.status",
    "statusreason": "d.status_reason",
    "connectionstate": "CASE d.connected WHEN 1 THEN 'Connected' ELSE 'Disconnected' END",
}
_DOCUMENTS = {
    "tags": "t.tags",
    "properties.desired": "t.desired",
    "properties.reported": "t.reported",
}
_MAX_LENGTH = 16 * 1024
_MAX_NESTING = 32


@dataclass(frozen=True)
class Condition:
    """A WHERE clause over iothub_devices d and iothub_twins t; its parameters are ?1, ?2, ..."""

    sql: str
    parameters: list[Value]


@dataclass(frozen=True)
class _Place:
    """Something a condition compares: SQL for its value and for its type."""

    value: str
    kind: str  # "text", "integer", "real", "true", "false", "null", ..., "undefined"


def compile_query(text: str) -> Condition:
    """Raises HubError 400 for what is no query, 501 for what is not emulated."""
    if len(text) > _MAX_LENGTH:
        raise invalid("The query is longer than 16 KB")
    head = _HEAD.match(text)
    if head is None:
        raise invalid("A query is SELECT * FROM devices [WHERE condition]")
    if head["where"].lower() != "devices":
        raise not_emulated(f"queries of {head['where']}; query devices")
    if head["what"].strip() != "*":
        raise not_emulated("projections and aggregates; use SELECT *")
    rest = text[head.end() :]
    if not rest.strip():
        return Condition("1", [])
    where = _WHERE.match(rest)
    if where is None:
        raise not_emulated("clauses other than WHERE")
    return _Parser(_tokens(rest[where.end() :])).condition()


def _tokens(text: str) -> list[tuple[str, str]]:
    tokens, position = [], 0
    text = text.rstrip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None or match.lastgroup is None:
            raise invalid(f"The query cannot be read from: {text[position : position + 40]}")
        tokens.append((match.lastgroup, match[match.lastgroup]))
        position = match.end()
    return tokens


class _Parser:
    """Recursive descent over the tokens of a condition."""

    def __init__(self, tokens: list[tuple[str, str]]) -> None:
        self._tokens = tokens
        self._position = 0
        self._depth = 0
        self._parameters: list[Value] = []

    def condition(self) -> Condition:
        sql = self._either()
        if self._position < len(self._tokens):
            raise invalid(f"The query is not understood at: {self._tokens[self._position][1]}")
        return Condition(sql, self._parameters)

    def _either(self) -> str:
        self._depth += 1
        if self._depth > _MAX_NESTING:
            raise invalid("The query is nested too deeply")
        sql = self._both()
        while self._keyword("OR"):
            sql = f"({sql} OR {self._both()})"
        self._depth -= 1
        return sql

    def _both(self) -> str:
        sql = self._term()
        while self._keyword("AND"):
            sql = f"({sql} AND {self._term()})"
        return sql

    def _term(self) -> str:
        negated = ""
        while self._keyword("NOT"):
            negated = "" if negated else "NOT "
        if self._sign("("):
            sql = self._either()
            self._expect(")")
            return f"{negated}({sql})"
        if self._keyword("is_defined"):
            self._expect("(")
            place = self._place()
            self._expect(")")
            return f"{negated}({place.kind} NOT IN ('undefined', 'null'))"
        return f"{negated}({self._comparison()})"

    def _comparison(self) -> str:
        place = self._place()
        if self._keyword("IN"):
            self._expect("[")
            choices = [self._equal(place, self._literal())]
            while self._sign(","):
                choices.append(self._equal(place, self._literal()))
            self._expect("]")
            return " OR ".join(choices)
        sign = self._next("sign")
        literal = self._literal()
        if sign == "=":
            return self._equal(place, literal)
        if sign in ("!=", "<>"):
            return f"{place.kind} <> 'undefined' AND NOT ({self._equal(place, literal)})"
        if sign not in ("<", "<=", ">", ">=") or isinstance(literal, bool) or literal is None:
            raise invalid(f"The query compares with {sign}, which is not understood here")
        kinds = "'text'" if isinstance(literal, str) else "'integer', 'real'"
        return f"{place.kind} IN ({kinds}) AND {place.value} {sign} {self._bind(literal)}"

    def _equal(self, place: _Place, literal: Value | bool) -> str:
        if isinstance(literal, bool) or literal is None:
            return f"{place.kind} = '{json.dumps(literal)}'"
        # SQLite reads JSON's true and false as 1 and 0, which equal no number here.
        return f"({place.value} IS {self._bind(literal)} AND {place.kind} NOT IN ('true', 'false'))"

    def _place(self) -> _Place:
        name = self._next("name")
        if (column := _COLUMNS.get(name.lower())) is not None:
            return _Place(column, f"typeof({column})")
        for prefix, document in _DOCUMENTS.items():
            if name.startswith(prefix + "."):
                keys = name[len(prefix) + 1 :].split(".")
                path = self._bind("$" + "".join(f'."{key}"' for key in keys))
                return _Place(
                    f"json_extract({document}, {path})",
                    f"COALESCE(json_type({document}, {path}), 'undefined')",
                )
        raise not_emulated(f"conditions on {name}")

    def _bind(self, value: Value) -> str:
        self._parameters.append(value)
        return f"?{len(self._parameters)}"

    def _literal(self) -> Value | bool:
        kind, text = self._peek()
        self._position += 1
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "name" and text.lower() in ("true", "false", "null"):
            return {"true": True, "false": False, "null": None}[text.lower()]
        raise invalid(f"The query has {text or 'nothing'} where a value is expected")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._position] if self._position < len(self._tokens) else ("", "")

    def _keyword(self, word: str) -> bool:
        kind, text = self._peek()
        found = kind == "name" and text.lower() == word.lower()
        self._position += found
        return found

    def _sign(self, sign: str) -> bool:
        found = self._peek() == ("sign", sign)
        self._position += found
        return found

    def _expect(self, sign: str) -> None:
        if not self._sign(sign):
            raise invalid(f"The query lacks {sign} before: {self._peek()[1] or 'its end'}")

    def _next(self, kind: str) -> str:
        found, text = self._peek()
        if found != kind:
            raise invalid(f"The query is not understood at: {text or 'its end'}")
        self._position += 1
        return text
