"""Partial document update: the operations of a patch, applied to a document in memory.

Semantics as in "Partial document update in Azure Cosmos DB": `add` inserts into arrays
where `set` overwrites, `replace` and `remove` need their target, `incr` creates a number
that is missing, and no operation creates the parent of its target.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emulator.cosmos.errors import bad_request
from emulator.cosmos.partition_key import Definition
from emulator.cosmos.values import Document

MAX_OPERATIONS = 10
MAX_INDEX_DIGITS = 9
PROTECTED = frozenset({"id", "_rid", "_self", "_etag", "_ts", "_attachments"})

Pointer = tuple[str, ...]


class PatchError(ValueError):
    """An operation that does not fit the document."""


@dataclass(frozen=True, slots=True)
class Operation:
    op: str
    path: Pointer
    value: Any = None  # for move: the pointer to move from


@dataclass(frozen=True, slots=True)
class Patch:
    """Up to ten operations, and the condition under which they apply (SQL, or None)."""

    operations: tuple[Operation, ...]
    condition: str | None


def parse_patch(body: object, definition: Definition) -> Patch:
    """Read a patch request. Raises CosmosError 400."""
    raw = body.get("operations") if isinstance(body, dict) else body
    condition = body.get("condition") if isinstance(body, dict) else None
    if not isinstance(raw, list) or not raw:
        raise bad_request("A patch needs a non-empty list of operations.")
    if len(raw) > MAX_OPERATIONS:
        raise bad_request(f"The number of patch operations can't exceed '{MAX_OPERATIONS}'.")
    if condition is not None and not isinstance(condition, str):
        raise bad_request("The condition of a patch must be a string: from c where ...")
    operations = []
    for index, entry in enumerate(raw, 1):
        try:
            operations.append(_parse_operation(entry, definition))
        except PatchError as error:
            raise bad_request(f"For Operation({index}): {error}") from None
    return Patch(tuple(operations), condition)


def apply_patch(document: Document, operations: tuple[Operation, ...]) -> None:
    """Change the document in place; it is spoilt where this raises CosmosError 400."""
    for index, operation in enumerate(operations, 1):
        try:
            APPLY[operation.op](document, operation)
        except PatchError as error:
            raise bad_request(f"For Operation({index}): {error}") from None


def _parse_operation(entry: object, definition: Definition) -> Operation:
    if not isinstance(entry, dict):
        raise PatchError("an operation is an object with op, path and value.")
    op = str(entry.get("op", "")).lower()
    op = "incr" if op == "increment" else op
    if op not in APPLY:
        raise PatchError(f"op {entry.get('op')!r} is unknown; use {', '.join(APPLY)}.")
    path = _pointer(entry.get("path"), definition)
    if op == "move":
        source = _pointer(entry.get("from"), definition)
        if path[: len(source)] == source:
            raise PatchError("a value cannot be moved to itself or into itself.")
        return Operation(op, path, source)
    if op != "remove" and "value" not in entry:
        raise PatchError(f"{op} needs a value.")
    if op == "incr" and not _is_number(entry["value"]):
        raise PatchError("incr needs a number as its value.")
    return Operation(op, path, entry.get("value"))


def _pointer(text: object, definition: Definition) -> Pointer:
    """A JSON pointer (RFC 6901) to something that may be patched."""
    if not isinstance(text, str) or not text.startswith("/") or text == "/":
        raise PatchError(f"the path {text!r} must look like /property or /outer/inner.")
    path = tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))
    if path[0] in PROTECTED:
        raise PatchError(f"{text} cannot be patched: it is the item's id or a system property.")
    for key in definition.paths:
        shorter = min(len(key), len(path))
        if path[:shorter] == key[:shorter]:
            raise PatchError(f"{text} cannot be patched: it belongs to the partition key.")
    return path


def _add(document: Document, operation: Operation) -> None:
    parent, last = _parent(document, operation.path)
    if isinstance(parent, list):
        parent.insert(_index(parent, last, end=True), operation.value)
    else:
        parent[last] = operation.value


def _set(document: Document, operation: Operation) -> None:
    parent, last = _parent(document, operation.path)
    if isinstance(parent, list):
        index = _index(parent, last, end=True)
        parent[index : index + 1] = [operation.value]
    else:
        parent[last] = operation.value


def _replace(document: Document, operation: Operation) -> None:
    parent, last = _target(document, operation.path)
    parent[last] = operation.value


def _remove(document: Document, operation: Operation) -> None:
    parent, last = _target(document, operation.path)
    del parent[last]


def _increment(document: Document, operation: Operation) -> None:
    parent, last = _parent(document, operation.path)
    if isinstance(parent, dict) and last not in parent:
        parent[last] = operation.value
        return
    parent, key = _target(document, operation.path)
    if not _is_number(parent[key]):
        raise PatchError(f"/{'/'.join(operation.path)} is not a number and cannot be incremented.")
    parent[key] += operation.value


def _move(document: Document, operation: Operation) -> None:
    parent, last = _target(document, operation.value)
    value = parent[last]
    _parent(document, operation.path)  # the target must be reachable before anything goes
    del parent[last]
    _add(document, Operation("add", operation.path, value))


APPLY: dict[str, Callable[[Document, Operation], None]] = {
    "add": _add,
    "set": _set,
    "replace": _replace,
    "remove": _remove,
    "incr": _increment,
    "move": _move,
}


def _parent(document: Document, path: Pointer) -> tuple[Any, str]:
    """The object or array that holds the target, and the target's name in it."""
    here: Any = document
    for name in path[:-1]:
        if isinstance(here, dict) and name in here:
            here = here[name]
        elif isinstance(here, list):
            here = here[_index(here, name, end=False)]
        else:
            raise PatchError(f"the parent of /{'/'.join(path)} does not exist.")
    if not isinstance(here, dict | list):
        raise PatchError(f"the parent of /{'/'.join(path)} is neither an object nor an array.")
    return here, path[-1]


def _target(document: Document, path: Pointer) -> tuple[Any, Any]:
    """The holder and the key or index of a value that must exist."""
    parent, last = _parent(document, path)
    if isinstance(parent, list):
        return parent, _index(parent, last, end=False)
    if last not in parent:
        raise PatchError(f"/{'/'.join(path)} does not exist.")
    return parent, last


def _index(array: list[Any], name: str, *, end: bool) -> int:
    if end and name == "-":
        return len(array)
    digits = name.isascii() and name.isdigit() and len(name) <= MAX_INDEX_DIGITS
    if not digits or int(name) >= len(array) + (1 if end else 0):
        raise PatchError(f"{name!r} is no index into an array of {len(array)} elements.")
    return int(name)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
