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

Equalities = dict[Path, Any]


@dataclass(frozen=True, slots=True)
class Bound:
    """The EPKs of all items that can match, and their (EPK, id) where the ids are known too."""

    partitions: set[bytes]
    points: set[tuple[bytes, str]] | None


def bound_by(
    where: s.Expression | None, alias: str | None, parameters: Parameters, definition: Definition
) -> Bound | None:
    """None where the condition does not bind the partition key."""
    choices = None if where is None else _equalities(where, alias, parameters)
    if choices is None:
        return None
    partitions: set[bytes] = set()
    points: set[tuple[bytes, str]] = set()
    all_ids = True
    for choice in choices:
        if not all(path in choice for path in definition.paths):
            return None
        key = definition.key(tuple(choice[path] for path in definition.paths))
        partitions.add(key.epk)
        id_ = choice.get(("id",))
        if isinstance(id_, str):
            points.add((key.epk, id_))
        else:
            all_ids = False
    return Bound(partitions, points if all_ids else None)


def _equalities(
    node: s.Expression, alias: str | None, parameters: Parameters
) -> list[Equalities] | None:
    """Alternatives, of which a matching item satisfies at least one; None for "anything"."""
    match node:
        case s.Binary("=", left, right):
            if constant(left, parameters)[0]:
                left, right = right, left
            return _equality(left, [right], alias, parameters)
        case s.In(needle, options):
            return _equality(needle, list(options), alias, parameters)
        case s.Or(terms):
            alternatives: list[Equalities] = []
            for term in terms:
                part = _equalities(term, alias, parameters)
                if part is None:
                    return None
                alternatives += part
            return alternatives
        case s.And(terms):
            combined: list[Equalities] | None = None
            for term in terms:
                combined = _both(combined, _equalities(term, alias, parameters))
            return combined
    return None


def _equality(
    left: s.Expression, options: list[s.Expression], alias: str | None, parameters: Parameters
) -> list[Equalities] | None:
    path = path_of(left, alias, parameters)
    values = [constant(option, parameters) for option in options]
    if not path or not all(known for known, _ in values):
        return None
    scalars = [v for _, v in values if rank(v) is not Rank.UNDEFINED]
    if any(rank(value) > Rank.STRING for value in scalars):
        return None
    return [{path: value} for value in scalars]


def _both(left: list[Equalities] | None, right: list[Equalities] | None) -> list[Equalities] | None:
    if left is None or right is None:
        return right if left is None else left
    if len(left) * len(right) > MAX_COMBINATIONS:
        return left
    return [
        a | b
        for a, b in product(left, right)
        if all(equal(a[path], b[path]) for path in a.keys() & b.keys())
    ]
