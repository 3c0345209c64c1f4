"""Lists by time, newest first, that go on behind a place in them and not behind a page.

So several lists can be read as one, and a list goes on while others write to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """An entry's place in the order: `created_at` as it is stored, and its id."""

    created_at: str
    id: str


@dataclass(frozen=True)
class Keyset:
    """`limit` entries behind a place, created in [since, until); all as they are stored."""

    limit: int
    behind: Place | None = None
    since: str | None = None
    until: str | None = None


def keyset_query(
    fixed: Sequence[str],
    conditions: Sequence[str],
    values: Mapping[str, object],
    keyset: Keyset,
) -> tuple[str, list[dict[str, object]]]:
    """The query and its parameters.

    `fixed`: properties that the conditions compare by equality and that the container's
    composite index begins with, so that the database reads the page and nothing else.
    """
    conditions, values = list(conditions), dict(values)
    if keyset.since is not None:
        conditions.append("c.created_at >= @since")
        values["@since"] = keyset.since
    if keyset.until is not None:
        conditions.append("c.created_at < @until")
        values["@until"] = keyset.until
    if keyset.behind is not None:
        conditions.append("c.created_at <= @at AND (c.created_at < @at OR c.id < @id)")
        values |= {"@at": keyset.behind.created_at, "@id": keyset.behind.id}
    order = ", ".join(f"c.{name} DESC" for name in (*fixed, "created_at", "id"))
    query = (
        f"SELECT TOP {keyset.limit} * FROM c "  # noqa: S608 - names and numbers of ours
        f"WHERE {' AND '.join(conditions)} ORDER BY {order}"
    )
    return query, [{"name": name, "value": value} for name, value in values.items()]
