"""The operations of a patch, without a service."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.cosmos.errors import CosmosError
from emulator.cosmos.partition_key import Definition
from emulator.cosmos.patch import apply_patch, parse_patch

DEFINITION = Definition((("pk",),), hierarchical=False)
BASE: dict[str, Any] = {"n": 1, "list": [1, 2, 3], "inner": {"a": True}, "s": "x", "a/b": 0}


def patched(*operations: dict[str, Any]) -> dict[str, Any]:
    document = copy.deepcopy(BASE)
    apply_patch(document, parse_patch({"operations": list(operations)}, DEFINITION).operations)
    return document


def op(name: str, path: str, value: Any = None, **more: Any) -> dict[str, Any]:
    return {"op": name, "path": path, "value": value, **more}


@pytest.mark.parametrize(
    ("operation", "changed"),
    [
        (op("add", "/new", 5), {"new": 5}),
        (op("add", "/n", 5), {"n": 5}),
        (op("add", "/list/1", 9), {"list": [1, 9, 2, 3]}),
        (op("add", "/list/3", 9), {"list": [1, 2, 3, 9]}),
        (op("add", "/list/-", 9), {"list": [1, 2, 3, 9]}),
        (op("set", "/list/1", 9), {"list": [1, 9, 3]}),
        (op("set", "/list/-", 9), {"list": [1, 2, 3, 9]}),
        (op("set", "/inner/b", None), {"inner": {"a": True, "b": None}}),
        (op("replace", "/inner/a", False), {"inner": {"a": False}}),
        (op("replace", "/list/0", 0), {"list": [0, 2, 3]}),
        (op("remove", "/list/0"), {"list": [2, 3]}),
        (op("remove", "/inner/a"), {"inner": {}}),
        (op("incr", "/n", 2), {"n": 3}),
        (op("incr", "/n", -0.5), {"n": 0.5}),
        (op("incr", "/fresh", 7), {"fresh": 7}),
        (op("incr", "/list/2", 1), {"list": [1, 2, 4]}),
        (op("set", "/a~1b", 1), {"a/b": 1}),
    ],
)
def test_an_operation_changes_what_it_names(
    operation: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert patched(operation) == BASE | changed


def test_move_takes_the_value_along_and_replaces_the_target() -> None:
    moved = patched({"op": "move", "from": "/n", "path": "/s"})
    assert moved == {name: value for name, value in BASE.items() if name != "n"} | {"s": 1}


@pytest.mark.parametrize(
    "operation",
    [
        op("replace", "/missing", 1),
        op("remove", "/missing"),
        op("add", "/missing/child", 1),
        op("set", "/n/child", 1),
        op("add", "/list/5", 1),
        op("set", "/list/5", 1),
        op("replace", "/list/3", 1),
        op("remove", "/list/x"),
        op("add", "/list/" + "9" * 5000, 1),
        op("incr", "/s", 1),
        op("incr", "/inner/a", 1),
        op("incr", "/n", "1"),
        op("incr", "/n", True),
        op("jump", "/n", 1),
        op("set", "n", 1),
        op("set", "/", 1),
        op("set", "/id", "x"),
        op("set", "/_ts", 1),
        op("set", "/pk", 1),
        op("set", "/pk/inner", 1),
        {"op": "set", "path": "/n"},
        {"op": "move", "from": "/inner", "path": "/inner/deeper"},
        {"op": "move", "from": "/missing", "path": "/n"},
        {"op": "move", "path": "/n"},
        "no object",
    ],
)
def test_what_azure_refuses_is_refused_with_400(operation: Any) -> None:
    with pytest.raises(CosmosError) as refused:
        patched(operation)
    assert refused.value.status == 400


def test_more_than_ten_operations_are_refused() -> None:
    with pytest.raises(CosmosError, match="10"):
        patched(*[op("incr", "/n", 1)] * 11)
    assert patched(*[op("incr", "/n", 1)] * 10)["n"] == 11


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=10))
def test_increments_add_up(amounts: list[int]) -> None:
    operations = [op("incr", "/n", amount) for amount in amounts]
    assert patched(*operations)["n"] == 1 + sum(amounts)


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "op": st.sampled_from(["add", "set", "replace", "remove", "incr", "move"]),
                "path": st.sampled_from(["/n", "/list/0", "/list/-", "/inner", "/inner/a", "/z/y"]),
                "from": st.sampled_from(["/n", "/list/1", "/inner"]),
                "value": st.integers() | st.text(max_size=3),
            }
        ),
        max_size=12,
    )
)
def test_any_patch_either_applies_or_says_400(operations: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(BASE)
    try:
        patched(*operations)
    except CosmosError as error:
        if error.status != 400:
            raise
    assert before == BASE
