"""What a WHERE says about partition key and id, so that only those items are looked at."""

from dataclasses import dataclass
from itertools import product
from typing import Any

from emulator.cosmos.partition_key import Definition
from emulator.cosmos.query import syntax as s
from emulator.cosmos.query.evaluate import Parameters
from emulator.cosmos.query.sqlite import Path, constant, path_of
from emulator.cosmos.values import Rank, equal, rank

MAX_COMBINATIONS = 4000
ID: Path = ("id",)

Equalities = dict[Path, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """The EPKs of all items that can match, and their (EPK, id) where the ids are known too.

    `decided` where the condition says nothing else: then those items are the result.
    """

    partitions: set[bytes]
    points: set[tuple[bytes, str]] | None
    decided: bool


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Equalities, of which a matching item satisfies one set; `exact` where that suffices."""

    choices: list[Equalities]
    exact: bool


def bound_by(
    where: s.Expression | None, alias: str | None, parameters: Parameters, definition: Definition
) -> Bound | None:
    """None where the condition does not bind the partition key."""
    found = None if where is None else _alternatives(where, alias, parameters)
    if found is None:
        return None
    partitions: set[bytes] = set()
    points: set[tuple[bytes, str]] = set()
    for choice in found.choices:
        if not all(path in choice for path in definition.paths):
            return None
        key = definition.key(tuple(choice[path] for path in definition.paths))
        partitions.add(key.epk)
        id_ = choice.get(ID)
        if isinstance(id_, str):
            points.add((key.epk, id_))
    every_id = all(isinstance(choice.get(ID), str) for choice in found.choices)
    known = {ID, *definition.paths}
    decided = every_id and found.exact and all(known >= choice.keys() for choice in found.choices)
    return Bound(partitions, points if every_id else None, decided)


def _alternatives(
    node: s.Expression, alias: str | None, parameters: Parameters
) -> Alternatives | None:
    """None where the expression says nothing that can be used."""
    match node:
        case s.Binary("=", left, right):
            if constant(left, parameters)[0]:
                left, right = right, left
            return _equality(left, [right], alias, parameters)
        case s.In(needle, options):
            return _equality(needle, list(options), alias, parameters)
        case s.Or(terms):
            return _one_of([_alternatives(term, alias, parameters) for term in terms])
        case s.And(terms):
            return _all_of([_alternatives(term, alias, parameters) for term in terms])
    return None


def _equality(
    left: s.Expression, options: list[s.Expression], alias: str | None, parameters: Parameters
) -> Alternatives | None:
    path = path_of(left, alias, parameters)
    values = [constant(option, parameters) for option in options]
    if not path or not all(known for known, _ in values):
        return None
    defined = [value for _, value in values if rank(value) is not Rank.UNDEFINED]
    if any(rank(value) > Rank.STRING for value in defined):
        return None
    return Alternatives([{path: value} for value in defined], exact=True)


def _one_of(parts: list[Alternatives | None]) -> Alternatives | None:
    choices: list[Equalities] = []
    exact = True
    for part in parts:
        if part is None:
            return None
        choices += part.choices
        exact &= part.exact
    return Alternatives(choices, exact)


def _all_of(parts: list[Alternatives | None]) -> Alternatives | None:
    found: Alternatives | None = None
    for part in parts:
        if part is not None:
            found = part if found is None else _both(found, part)
    if found is None or all(part is not None for part in parts):
        return found
    return Alternatives(found.choices, exact=False)


def _both(left: Alternatives, right: Alternatives) -> Alternatives:
    if len(left.choices) * len(right.choices) > MAX_COMBINATIONS:
        return Alternatives(left.choices, exact=False)
    choices = [
        a | b
        for a, b in product(left.choices, right.choices)
        if all(equal(a[path], b[path]) for path in a.keys() & b.keys())
    ]
    return Alternatives(choices, left.exact and right.exact)
