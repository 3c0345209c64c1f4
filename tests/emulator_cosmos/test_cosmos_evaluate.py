"""Expressions over one document: undefined, types, functions."""

from typing import Any

import pytest

from emulator.cosmos.errors import CosmosError
from emulator.cosmos.query.condition import holds
from emulator.cosmos.query.evaluate import compile_expression
from emulator.cosmos.query.grammar import parse_condition, parse_query
from emulator.cosmos.values import UNDEFINED

DOC: dict[str, Any] = {
    "n": 4, "s": "Abc", "t": True, "z": None, "tags": ["x", {"k": 1, "m": 2}],
    "o": {"in ner": {"deep": [10, 20]}}, "empty": [],
}  # fmt: skip


def value(expression: str, **parameters: Any) -> Any:
    query = parse_query(f"SELECT VALUE {expression} FROM c")
    assert query.projection.value is not None
    given = {f"@{name}": item for name, item in parameters.items()}
    return compile_expression(query.projection.value, given, frozenset({"c"}))({"c": DOC})


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("c.n + 1 * 2 - -3", 9),
        ("c.n / 8", 0.5),
        ("c.n / 2", 2),
        ("c.n % 3", 1),
        ("c.n / 0", UNDEFINED),
        ("c.n + c.s", UNDEFINED),
        ("c.s || 'd'", "Abcd"),
        ("c.s || c.n", UNDEFINED),
        ('c["o"]["in ner"].deep[1]', 20),
        ("c.tags[5]", UNDEFINED),
        ("c.missing.deeper", UNDEFINED),
        ("c.n = 4.0", True),
        ("c.t = 1", False),
        ("c.t != 1", True),
        ("c.missing != 1", UNDEFINED),
        ("c.n < 'a'", UNDEFINED),
        ("NOT (c.n < 'a')", UNDEFINED),
        ("c.n < 'a' OR true", True),
        ("c.n < 'a' AND false", False),
        ("c.n AND true", UNDEFINED),
        ("c.z = null", True),
        ("c.z >= null", True),
        ("c.n IN (1, 4)", True),
        ("c.n NOT IN (1, 4)", False),
        ("c.missing IN (1)", UNDEFINED),
        ("c.n BETWEEN 1 AND 4", True),
        ("c.s BETWEEN 1 AND 4", UNDEFINED),
        ("IS_DEFINED(c.missing)", False),
        ("IS_NULL(c.z)", True),
        ("IS_STRING(c.missing)", False),
        ("CONTAINS(c.s, 'bc')", True),
        ("CONTAINS(c.s, 'BC', true)", True),
        ("STARTSWITH(c.s, 'abc')", False),
        ("STARTSWITH(c.n, 'abc')", UNDEFINED),
        ("ENDSWITH(c.s, 'c')", True),
        ("STRINGEQUALS(c.s, 'ABC', true)", True),
        ("LOWER(c.s)", "abc"),
        ("UPPER(c.n)", UNDEFINED),
        ("LENGTH(c.s)", 3),
        ("ARRAY_LENGTH(c.tags)", 2),
        ("ARRAY_LENGTH(c.s)", UNDEFINED),
        ("ARRAY_CONTAINS(c.tags, 'x')", True),
        ("ARRAY_CONTAINS(c.tags, {k: 1})", False),
        ("ARRAY_CONTAINS(c.tags, {k: 1}, true)", True),
        ("ABS(-c.n)", 4),
        ("ROUND(-2.5)", -3),
        ("SQRT(-1)", UNDEFINED),
        ("c.missing ?? c.n", 4),
        ("c.t ? 'yes' : 'no'", "yes"),
        ("[c.n, c.missing, 'a']", [4, "a"]),
        ("{a: c.n, 'b': c.missing}", {"a": 4}),
        ("EXISTS (SELECT VALUE t FROM t IN c.tags WHERE t.k = 1)", True),
        ("EXISTS (SELECT VALUE t FROM t IN c.empty)", False),
        ('"\\u00e9\\n"', "é\n"),
        ("'it\\'s'", "it's"),
    ],
)
def test_value(expression: str, expected: Any) -> None:
    found = value(expression)
    assert found == expected
    assert type(found) is type(expected)


def test_parameters_are_taken_from_the_request() -> None:
    assert value("c.n + @more", more=1) == 5
    with pytest.raises(CosmosError, match="@more"):
        value("@more")


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("SELECT * FROM c WHERE c.s LIKE 'a%'", "LIKE"),
        ("SELECT c.value FROM c", "value"),
        ("SELECT * FROM c WHERE", "end of the query"),
        ("DELETE FROM c", "DELETE"),
        ("SELECT * FROM c WHERE c.a = 'open", "'"),
        ("SELECT * FROM (SELECT * FROM c)", "("),
        ("", "end of the query"),
    ],
)
def test_a_syntax_error_names_the_place(query: str, named: str) -> None:
    with pytest.raises(CosmosError) as refused:
        parse_query(query)
    assert refused.value.status == 400
    assert f"near '{named}'" in refused.value.message


@pytest.mark.parametrize(
    ("expression", "named"),
    [
        ("d.n", "Identifier 'd'"),
        ("ST_DISTANCE(c.n, c.n)", "'ST_DISTANCE'"),
        ("LOWER()", "LOWER"),
        ("udf.tax(c)", "udf"),
    ],
)
def test_what_is_unknown_is_named(expression: str, named: str) -> None:
    with pytest.raises(CosmosError, match=named):
        value(expression)


def test_the_condition_of_a_patch() -> None:
    assert holds("FROM c WHERE c.n = 4 AND NOT IS_DEFINED(c.gone)", DOC)
    assert not holds("from x where x.n > 4", DOC)
    assert parse_condition("from root r where r.a = 1")[0] == "r"


def test_parentheses_nest_deeply() -> None:
    assert value("(" * 5_000 + "1" + ")" * 5_000) == 1
