"""`mymote device …`: the account's gateways, looked at."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mymote import names, output
from mymote.calling import calling
from mymote.options import (
    AsJson,
    Device,
    Everything,
    IfMatch,
    Limit,
    Location,
    OfGroup,
    Since,
    Until,
    Yes,
    agreed,
    bound,
    if_match,
    point,
    some,
)
from mymote.output import Column

if TYPE_CHECKING:
    from mymote.api import Api

app = typer.Typer(no_args_is_help=True, help="Gateways: list, pair, edit, order, ask.")


def _of(name: str) -> Any:
    return lambda one: one["device"][name]


def app_of(device: Mapping[str, Any]) -> str:
    """Name and version of the app on a DEVICE."""
    return f"{device['app_name']} {device['app_version']}".strip()


class Status(StrEnum):
    """Whether a gateway is connected."""

    CONNECTED = "connected"
    DISCONNECTED = "disconnected"


SORTS = ("name", "status", "type", "app", "version", "firmware", "paired_at")
DEVICES = (
    Column("DEVICE ID", _of("device_id"), keep=True),
    Column("NAME", _of("name"), cut=8),
    Column("STATUS", "status"),
    Column("APP", lambda one: app_of(one["device"]), cut=20),
    Column("GROUP", _of("group_id"), cut=8),
    Column("TYPE", _of("type")),
    Column("FIRMWARE", _of("fwversion")),
    Column("LOCATION", _of("location")),
)
TIMELINE = (
    Column("TIME", output.time_of("created_at")),
    Column("EVENT", "event"),
    Column("DETAIL", "detail", cut=30),
)
PROPERTIES = (
    Column("PROPERTY", "name", keep=True),
    Column("VALUE", "value", keep=True, cut=20),
    Column("REPORTED", output.time_of("updated_at")),
)


@app.command("list")
def list_devices(
    context: typer.Context,
    *,
    search: Annotated[str, typer.Option(help="Part of the id, the name or the ICCID.")] = "",
    group: OfGroup = "",
    status: Annotated[
        Status | None, typer.Option(help="In this state only.", case_sensitive=False)
    ] = None,
    type_: Annotated[str, typer.Option("--type", help="Of this type only.")] = "",
    app_name: Annotated[str, typer.Option("--app", help="With this app only.")] = "",
    version: Annotated[str, typer.Option(help="With this version of the app only.")] = "",
    firmware: Annotated[str, typer.Option(help="With this version of the firmware only.")] = "",
    sort: Annotated[
        str,
        typer.Option(
            metavar="FIELD",
            help=f"By {', '.join(SORTS)}; -name turns the order.",
            autocompletion=lambda: list(SORTS),
        ),
    ] = "",
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """The account's gateways, and whether they are connected.

    Example: mymote device list --group pumps --status disconnected
    """
    with calling(context) as api:
        query = {
            "search": search,
            "group": names.group_id(api, group) if group else "",
            "status": status.value.capitalize() if status else "",
            "type": type_,
            "app": app_name,
            "version": version,
            "firmware": firmware,
            "sort": sort,
        }
        most = bound(limit, everything)
        found = api.each("listDevices", query=query, limit=most)
        output.listed(found, _columns(api), "No device here.", most, as_json=as_json)


@app.command("show")
def show(context: typer.Context, device: Device, as_json: AsJson = False) -> None:
    """One gateway, with all its fields."""
    with calling(context) as api:
        found = api.call("getDevice", deviceid=names.device_id(api, device))[0]
    if as_json:
        output.json_value(found)
        return
    output.fields({"status": found["status"], **found["device"]})


@app.command("edit")
def edit(
    context: typer.Context,
    device: Device,
    *,
    location: Location = None,
    group: Annotated[str | None, typer.Option(help='Id or name; "" for none.')] = None,
    etag: IfMatch = "",
    as_json: AsJson = False,
) -> None:
    """Change a gateway's location or group; its name is fixed at pairing.

    Example: mymote device edit "Pump 3" --group pumps --location 41.890210,12.492231
    """
    with calling(context) as api:
        group_id = names.group_id(api, group) if group else group
        change = some(location=location, group_id=group_id)
        device_id = names.device_id(api, device)
        changed = api.call("updateDevice", deviceid=device_id, json=change, headers=if_match(etag))
    output.done(changed, "Changed.", as_json=as_json)


@app.command("delete")
def delete(
    context: typer.Context,
    device: Device,
    *,
    history: Annotated[
        bool,
        typer.Option(
            "--with-history",
            help="Delete its notifications, parked and user messages and timeline as well.",
        ),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Unpair a gateway from the account; whoever has its key can pair it again."""
    with calling(context) as api:
        device_id = names.device_id(api, device)
        agreed(f"Unpair {device_id}{' and delete its history' if history else ''}?", yes)
        query = {"history": "delete" if history else "keep"}
        reply = api.call("deleteDevice", deviceid=device_id, query=query)
    output.done(reply, f"{device_id} is unpaired.", as_json=as_json)


@app.command("status")
def status_of(context: typer.Context, device: Device, as_json: AsJson = False) -> None:
    """Whether a gateway is connected."""
    with calling(context) as api:
        found = api.call("getDeviceStatus", deviceid=names.device_id(api, device))
    output.done(found, found["connectionState"], as_json=as_json)


@app.command("stats")
def statistics(context: typer.Context, device: Device, as_json: AsJson = False) -> None:
    """Messages and bytes: ever, today (UTC) and on the seven days before."""
    with calling(context) as api:
        found = api.call("getDeviceStatistics", deviceid=names.device_id(api, device))
    if as_json:
        output.json_value(found)
        return
    today = datetime.now(UTC).date()
    days: list[tuple[str, str]] = [("in all", "tot"), (f"{today} (today)", "current")]
    days += [(str(today - timedelta(days=n)), str(n)) for n in range(1, 8)]
    rows = [
        {"when": when, "messages": found[f"msg_{key}"], "bytes": found[f"bytes_{key}"]}
        for when, key in days
    ]
    columns = (
        Column("WHEN", "when"),
        Column("MESSAGES", "messages", right=True),
        Column("BYTES", "bytes", right=True),
    )
    output.table(rows, columns, "")


@app.command("properties")
def properties(context: typer.Context, device: Device, as_json: AsJson = False) -> None:
    """What a gateway reports about itself, and when it did."""
    with calling(context) as api:
        found = api.call("getDeviceProperties", deviceid=names.device_id(api, device))
    if as_json:
        output.json_value(found)
    else:
        output.table(found["properties"], PROPERTIES, "It has reported nothing yet.")


@app.command("reboot")
def reboot(
    context: typer.Context, device: Device, *, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Reset a gateway that is connected."""
    with calling(context) as api:
        device_id = names.device_id(api, device)
        agreed(f"Reboot {device_id}?", yes)
        reply = api.call("rebootDevice", deviceid=device_id)
    output.done(reply, f"{device_id} reboots.", as_json=as_json)


@app.command("timeline")
def timeline(
    context: typer.Context,
    device: Device,
    *,
    event: Annotated[str, typer.Option(help="Of this kind only, such as connected.")] = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """What happened to a gateway: connections, notifications, orders, changes; newest first.

    Example: mymote device timeline "Pump 3" --event disconnected --since 7d
    """
    with calling(context) as api:
        query = {
            "event": event,
            "since": point(since, "--since"),
            "until": point(until, "--until"),
        }
        most = bound(limit, everything)
        found = api.each(
            "getDeviceTimeline", deviceid=names.device_id(api, device), query=query, limit=most
        )
        output.listed(found, TIMELINE, "Nothing happened to it.", most, as_json=as_json)


def _columns(api: "Api") -> list[Column]:
    """With the groups' names, which are asked for once, where a device is in one."""
    groups: dict[str, str] = {}

    def group_name(one: Mapping[str, Any]) -> str:
        group_id = str(one["device"]["group_id"])
        if group_id and not groups:
            groups.update((group["id"], group["name"]) for group in api.call("listGroups"))
        return groups.get(group_id, group_id)

    return [
        replace(column, value=group_name) if column.title == "GROUP" else column
        for column in DEVICES
    ]
