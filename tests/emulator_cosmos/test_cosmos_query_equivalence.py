"""What SQLite decides is what Python decides, for random documents and filters."""

import sqlite3
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.cosmos.query import syntax as s
from emulator.cosmos.query.evaluate import compile_expression
from emulator.cosmos.query.sqlite import Translator, rank_of, value_of
from emulator.cosmos.values import UNDEFINED, Rank, dumps, rank

NAMES = ["a", "b", "é", "x y"]

text = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=4
) | st.sampled_from(["a", "ab", "abc", "", "A"])
number = st.integers(-3, 3) | st.floats(-3, 3, allow_nan=False) | st.sampled_from([1.0, 2**53])
scalar = st.none() | st.booleans() | number | text
value = st.recursive(
    scalar,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3)
    ),
    max_leaves=6,
)
document = st.dictionaries(st.sampled_from(NAMES), value, max_size=4)


def member(keys: list[str | int]) -> s.Expression:
    node: s.Expression = s.Name("c")
    for key in keys:
        node = s.Member(node, s.Literal(key))
    return node


keys: st.SearchStrategy[str | int] = st.sampled_from(NAMES) | st.sampled_from([0, 1])
path = st.lists(keys, min_size=1, max_size=3).map(member)
constant = scalar.map(s.Literal)
part = text.map(s.Literal)

comparison = st.builds(
    s.Binary, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), path, constant
) | st.builds(s.Binary, st.sampled_from(["=", "!=", "<", "<=", ">", ">="]), constant, path)
membership = st.builds(s.In, path, st.lists(constant, min_size=1, max_size=4).map(tuple))
type_test = st.builds(
    lambda name, node: s.Call(name, (node,)),
    st.sampled_from(["IS_DEFINED", "IS_NULL", "IS_BOOL", "IS_NUMBER", "IS_STRING", "IS_ARRAY"]),
    path,
)
string_test = st.builds(
    lambda name, node, piece: s.Call(name, (node, piece)),
    st.sampled_from(["CONTAINS", "STARTSWITH", "ENDSWITH", "STRINGEQUALS"]),
    path,
    part,
)
condition = st.recursive(
    comparison | membership | type_test | string_test | path | st.booleans().map(s.Literal),
    lambda inner: (
        st.builds(s.And, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | st.builds(s.Or, st.lists(inner, min_size=1, max_size=3).map(tuple))
        | inner.map(lambda node: s.Unary("not", node))
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None)
@given(document, condition)
def test_sqlite_and_python_agree_on_every_condition(
    doc: dict[str, Any], node: s.Expression
) -> None:
    sql = Translator("c", {}).true(node)
    assert sql is not None  # everything that this test generates can be translated
    expected = compile_expression(node, {}, frozenset({"c"}))({"c": doc}) is True
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE items (body TEXT)")
    database.execute("INSERT INTO items VALUES (?)", (dumps(doc),))
    (found,) = database.execute(f"SELECT {sql.text} FROM items", sql.parameters).fetchone()
    assert found in (0, 1)
    assert bool(found) is expected
    database.close()


@settings(max_examples=150, deadline=None)
@given(st.lists(value, max_size=12))
def test_sqlite_sorts_as_azure_orders_types_and_values(values: list[Any]) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE items (number INTEGER PRIMARY KEY, body TEXT)")
    for doc in ({"x": value} for value in values):
        database.execute("INSERT INTO items (body) VALUES (?)", (dumps(doc),))
    database.execute("INSERT INTO items (body) VALUES ('{}')")
    order = f"{rank_of(('x',))}, {value_of(('x',))}"
    rows = database.execute(f"SELECT number FROM items ORDER BY {order}, number").fetchall()
    everything = [*values, UNDEFINED]
    found = [everything[number - 1] for (number,) in rows]
    assert [rank(value) for value in found] == sorted(rank(value) for value in everything)
    for kind in (Rank.BOOLEAN, Rank.NUMBER, Rank.STRING):
        same = [value for value in found if rank(value) is kind]
        assert same == sorted(same)
    database.close()
