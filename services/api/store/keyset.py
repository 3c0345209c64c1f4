"""Lists by time, newest first, that go on behind a place in them and not behind a page.

So several lists can be read as one, and a list goes on while others write to it.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.errors import InvalidRequest
from shared.schemas.documents import sortable


@dataclass(frozen=True)
class Place:
    """An entry's place in the order: when the hub took it, and its id."""

    at: datetime
    id: str

    @property
    def key(self) -> tuple[str, str]:
        """As the database compares it."""
        return sortable(self.at), self.id

    @property
    def cursor(self) -> str:
        """The place as clients are given it."""
        return urlsafe_b64encode(" ".join(self.key).encode()).decode().rstrip("=")


@dataclass(frozen=True)
class Keyset:
    """`limit` entries behind a place, that the hub took in [since, until)."""

    limit: int
    behind: Place | None = None
    since: datetime | None = None
    until: datetime | None = None


def place_of(cursor: str) -> Place | None:
    """None for "". Raises InvalidRequest for what is no cursor."""
    if not cursor:
        return None
    try:
        text = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, id_ = text.partition(" ")
        place = Place(datetime.fromisoformat(at), id_)
        ours = sortable(place.at) == at
    except (ValueError, OverflowError):
        ours = False
    if not ours:
        raise InvalidRequest(
            "This cursor is of no page of this list; leave it out to start at the newest."
        )
    return place


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
        conditions.append("c.enqueued_at >= @since")
        values["@since"] = sortable(keyset.since)
    if keyset.until is not None:
        conditions.append("c.enqueued_at < @until")
        values["@until"] = sortable(keyset.until)
    if keyset.behind is not None:
        conditions.append("c.enqueued_at <= @at AND (c.enqueued_at < @at OR c.id < @id)")
        values |= {"@at": sortable(keyset.behind.at), "@id": keyset.behind.id}
    order = ", ".join(f"c.{name} DESC" for name in (*fixed, "enqueued_at", "id"))
    query = (
        f"SELECT TOP {keyset.limit} * FROM c "  # noqa: S608 - names and numbers of ours
        f"WHERE {' AND '.join(conditions)} ORDER BY {order}"
    )
    return query, [{"name": name, "value": value} for name, value in values.items()]
