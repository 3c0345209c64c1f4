"""Which notifications are looked for, as queries that read what a page holds and little else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.api.store.keyset import Keyset, keyset_query
from shared.schemas.documents import sortable

_PARAMETER = re.compile(r"@\w+")

Query = tuple[str, list[dict[str, object]]]


@dataclass(frozen=True)
class Filter:
    """What is looked for; what is not given does not matter."""

    level: int = 0
    states: tuple[str, ...] = ()
    device_id: str = ""
    device_ids: tuple[str, ...] | None = None  # of these devices only: a group's
    since: datetime | None = None  # when the hub took it: from then on
    until: datetime | None = None  # before then


def page_queries(user_id: str, wanted: Filter, keyset: Keyset) -> list[Query]:
    """Queries whose results, merged, hold the page.

    Each fixes what a composite index of the container begins with, so that few open
    notifications are found among very many cleared ones; therefore one for each state. Within one
    device, level and states are compared one by one, as a group's devices are.
    """
    if wanted.device_id or not wanted.states:
        return [_page_query(user_id, wanted, "", keyset)]
    return [_page_query(user_id, wanted, state, keyset) for state in wanted.states]


def count_query(user_id: str, wanted: Filter) -> Query:
    """How many there are."""
    conditions = {"c.user_id = @user": user_id, **_equal(wanted), **_others(wanted)}
    if wanted.states:
        conditions["ARRAY_CONTAINS(@states, c.state)"] = list(wanted.states)
    if wanted.since is not None:
        conditions["c.enqueued_at >= @since"] = sortable(wanted.since)
    if wanted.until is not None:
        conditions["c.enqueued_at < @until"] = sortable(wanted.until)
    query = f"SELECT VALUE COUNT(1) FROM c WHERE {' AND '.join(conditions)}"  # noqa: S608
    values = _named(conditions)
    return query, [{"name": name, "value": value} for name, value in values.items()]


def _page_query(user_id: str, wanted: Filter, state: str, keyset: Keyset) -> Query:
    conditions: dict[str, object] = {"c.user_id = @user": user_id, **_others(wanted)}
    fixed = ["user_id"]
    if state:
        fixed.append("state")
        conditions["c.state = @state"] = state
    elif wanted.states:
        conditions["ARRAY_CONTAINS(@states, c.state)"] = list(wanted.states)
    conditions |= _equal(wanted)
    if wanted.device_id:
        fixed.append("device_id")
    elif wanted.level:
        fixed.append("level")
    return keyset_query(fixed, list(conditions), _named(conditions), keyset)


def _equal(wanted: Filter) -> dict[str, object]:
    return {
        **({"c.level = @level": wanted.level} if wanted.level else {}),
        **({"c.device_id = @device": wanted.device_id} if wanted.device_id else {}),
    }


def _others(wanted: Filter) -> dict[str, object]:
    if wanted.device_ids is None:
        return {}
    return {"ARRAY_CONTAINS(@device_ids, c.device_id)": list(wanted.device_ids)}


def _named(conditions: Mapping[str, object]) -> dict[str, object]:
    """Each condition has one parameter: its value by its name."""
    return {_PARAMETER.findall(text)[0]: value for text, value in conditions.items()}
