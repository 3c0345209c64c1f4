"""`mymote notification …`: what gateways tell; and `mymote notifications`, the list."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mymote import names, output, progress
from mymote.calling import calling
from mymote.failures import usage
from mymote.options import (
    AsJson,
    Everything,
    Limit,
    OfDevice,
    OfGroup,
    Since,
    Until,
    Yes,
    agreed,
    bound,
    point,
)
from mymote.output import Column, Entity

if TYPE_CHECKING:
    from mymote.api import Api

app = typer.Typer(no_args_is_help=True, help="One notification, or many: acknowledge, clear.")

LEVELS = {"info": 1, "warning": 2, "alarm": 3}
BATCH = 200  # ids a call


class Level(StrEnum):
    """How grave it is."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


class State(StrEnum):
    """What people did with it; `open` is whatever is not cleared."""

    NEW = "new"
    ACKNOWLEDGED = "acknowledged"
    CLEARED = "cleared"
    OPEN = "open"


OfLevel = Annotated[Level | None, typer.Option("--level", help="Of this level only.")]
OfState = Annotated[State | None, typer.Option("--state", help="In this state only.")]
Ids = Annotated[
    list[str] | None, typer.Argument(metavar="ID", help="Which; `-` reads ids from stdin.")
]
All = Annotated[bool, typer.Option("--all", help="All that the options select.")]


def level_of(entity: Entity) -> str:
    """A notification's level in words."""
    return next((name for name, level in LEVELS.items() if level == entity["level"]), "?")


NOTIFICATIONS = (
    Column("TIME", output.time_of("enqueued_at"), keep=True),
    Column("LEVEL", level_of, keep=True),
    Column("TEXT", "text", keep=True, cut=30),
    Column("DEVICE", "device_name", cut=8),
    Column("STATE", "state"),
    Column("ID", "id"),
)


def wanted(
    api: "Api",
    *,
    level: Level | None,
    device: str,
    group: str,
    state: State | None,
    since: str,
    until: str,
) -> dict[str, Any]:
    """The filter that the options describe, without what was not given. Raises Failure."""
    values = {
        "level": LEVELS[level] if level else None,
        "device_id": names.device_id(api, device) if device else None,
        "group_id": names.group_id(api, group) if group else None,
        "state": state.value if state else None,
        "since": point(since, "--since") or None,
        "until": point(until, "--until") or None,
    }
    return {name: value for name, value in values.items() if value is not None}


def notifications(
    context: typer.Context,
    *,
    level: OfLevel = None,
    device: OfDevice = "",
    group: OfGroup = "",
    state: OfState = None,
    since: Since = "",
    until: Until = "",
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on with new ones as they come.")
    ] = False,
    limit: Limit = 20,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """What gateways tell: newest first, or with --follow as they come (JSON: one a line).

    Example: mymote notifications --level alarm --state open
    """
    from mymote import follow as following  # noqa: PLC0415

    if follow and (until or everything):
        raise usage("--follow goes on from now: leave --until and --all away.")
    with calling(context) as api:
        query = wanted(
            api,
            level=level,
            device=device,
            group=group,
            state=state,
            since=since,
            until=until,
        )
        if follow:
            following.notifications(api, query, limit, as_json=as_json)
            return
        most = bound(limit, everything)
        found = api.each("listNotifications", query=query, limit=most)
        output.listed(found, NOTIFICATIONS, "No notifications.", most, as_json=as_json)


@app.command("show")
def show(
    context: typer.Context,
    notification_id: Annotated[
        str, typer.Argument(metavar="ID", help="As `notifications` shows it, in a wide window.")
    ],
    as_json: AsJson = False,
) -> None:
    """One notification, with all its fields."""
    with calling(context) as api:
        found = api.call("getNotification", notificationid=notification_id)
    output.shown(found, as_json=as_json)


@app.command("count")
def count(context: typer.Context, as_json: AsJson = False) -> None:
    """How many there are of each state and level."""
    with calling(context) as api:
        found = api.call("countNotifications")
    if as_json:
        output.json_value(found)
        return
    names_ = ("info", "warning", "alarm", "total")
    columns = (
        Column("STATE", "state"),
        *(Column(name.upper(), name, right=True) for name in names_),
    )
    output.table([{"state": state, **counts} for state, counts in found.items()], columns, "")


@app.command("ack")
def acknowledge(
    context: typer.Context,
    ids: Ids = None,
    *,
    everything: All = False,
    level: OfLevel = None,
    device: OfDevice = "",
    group: OfGroup = "",
    state: OfState = None,
    since: Since = "",
    until: Until = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Say that somebody has seen them: some by id, or --all that the options select.

    Example: mymote notification ack --all --device Pump --level warning
    """
    with calling(context) as api:
        chosen = wanted(
            api,
            level=level,
            device=device,
            group=group,
            state=state,
            since=since,
            until=until,
        )
        _change(
            api, "acknowledge", ids, everything=everything, chosen=chosen, yes=yes, as_json=as_json
        )


@app.command("clear")
def clear(
    context: typer.Context,
    ids: Ids = None,
    *,
    everything: All = False,
    level: OfLevel = None,
    device: OfDevice = "",
    group: OfGroup = "",
    state: OfState = None,
    since: Since = "",
    until: Until = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Be done with them: some by id, or --all that the options select."""
    with calling(context) as api:
        chosen = wanted(
            api,
            level=level,
            device=device,
            group=group,
            state=state,
            since=since,
            until=until,
        )
        _change(api, "clear", ids, everything=everything, chosen=chosen, yes=yes, as_json=as_json)


def _change(
    api: "Api",
    verb: str,
    ids: list[str] | None,
    *,
    everything: bool,
    chosen: dict[str, Any],
    yes: bool,
    as_json: bool,
) -> None:
    ids = _read_ids(ids or [])
    if bool(ids) == everything or (ids and chosen):
        raise usage("Give ids; or --all, with options that select.")
    if len(ids) == 1:
        changed = api.call(f"{verb}Notification", notificationid=ids[0])
        output.done(changed, "Done.", as_json=as_json)
        return
    if everything:
        agreed(f"{verb.capitalize()} {'all of these' if chosen else 'all'} notifications?", yes)
    total = {"changed": 0, "unchanged": 0, "missing": 0}
    with progress.bar(len(ids), f"{verb.capitalize()}") as advance:
        for selection in _selections(ids, chosen):
            more = True
            while more:
                found = api.call(f"{verb}Notifications", json=selection)
                total = {name: total[name] + found[name] for name in total}
                more = found["more"]
            advance(len(selection.get("ids", ())))
    said = ", ".join(f"{number} {name}" for name, number in total.items() if number) or "none here"
    output.done(total, f"Notifications: {said}.", as_json=as_json)


def _selections(ids: list[str], chosen: dict[str, Any]) -> list[dict[str, Any]]:
    if not ids:
        return [{"filter": chosen}]
    return [{"ids": ids[start : start + BATCH]} for start in range(0, len(ids), BATCH)]


def _read_ids(ids: list[str]) -> list[str]:
    if ids != ["-"]:
        return ids
    return [word for line in typer.get_text_stream("stdin") for word in line.split()]
