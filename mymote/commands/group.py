"""`mymote group …`: devices that belong together, for a client of one's own."""

from typing import Annotated

import typer

from mymote import names, output
from mymote.calling import calling
from mymote.commands.device import app_of
from mymote.options import AsJson, Group, IfMatch, Yes, agreed, if_match, some
from mymote.output import Column

app = typer.Typer(no_args_is_help=True, help="Groups of gateways.")

GROUPS = (
    Column("GROUP ID", "id", keep=True),
    Column("NAME", "name", cut=8),
    Column("CLIENT", "client_name", cut=8),
    Column("EMAIL", "email", cut=8),
    Column("TELEPHONE", "telephone"),
)
DEVICES = (
    Column("DEVICE ID", "device_id", keep=True),
    Column("NAME", "name", cut=8),
    Column("APP", app_of, cut=8),
    Column("TYPE", "type"),
    Column("FIRMWARE", "fwversion"),
    Column("LOCATION", "location"),
)

Name = Annotated[str | None, typer.Option(help="1 to 100 characters.")]
Client = Annotated[str | None, typer.Option("--client", help="Whose gateways these are.")]
Email = Annotated[str | None, typer.Option(help="The client's.")]
Telephone = Annotated[str | None, typer.Option(help="The client's.")]


@app.command("list")
def list_groups(context: typer.Context, as_json: AsJson = False) -> None:
    """All groups of the account."""
    with calling(context) as api:
        found = api.call("listGroups")
    empty = "No groups yet; `mymote group create NAME` makes one."
    output.listed(found, GROUPS, empty, as_json=as_json)


@app.command("show")
def show(context: typer.Context, group: Group, as_json: AsJson = False) -> None:
    """One group."""
    with calling(context) as api:
        found = api.call("getGroup", groupid=names.group_id(api, group))
    output.shown(found, as_json=as_json)


@app.command("devices")
def devices(context: typer.Context, group: Group, as_json: AsJson = False) -> None:
    """All devices of a group."""
    with calling(context) as api:
        found = api.call("listDevicesOfGroup", groupid=names.group_id(api, group))
    output.listed(found, DEVICES, "No device is in this group.", as_json=as_json)


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="1 to 100 characters.")],
    *,
    client_name: Client = None,
    email: Email = None,
    telephone: Telephone = None,
    as_json: AsJson = False,
) -> None:
    """Make a group.

    Example: mymote group create pumps --client "Acme Ltd" --email acme@example.com
    """
    fields = some(name=name, client_name=client_name, email=email, telephone=telephone)
    with calling(context) as api:
        made = api.call("createGroup", json=fields)
    output.shown(made, as_json=as_json, said="Made.")


@app.command("edit")
def edit(
    context: typer.Context,
    group: Group,
    *,
    name: Name = None,
    client_name: Client = None,
    email: Email = None,
    telephone: Telephone = None,
    etag: IfMatch = "",
    as_json: AsJson = False,
) -> None:
    """Change a group's fields."""
    change = some(name=name, client_name=client_name, email=email, telephone=telephone)
    with calling(context) as api:
        changed = api.call(
            "updateGroup", groupid=names.group_id(api, group), json=change, headers=if_match(etag)
        )
    output.shown(changed, as_json=as_json, said="Changed.")


@app.command("delete")
def delete(
    context: typer.Context,
    group: Group,
    *,
    move_to: Annotated[
        str | None,
        typer.Option(help='Move its devices into this group first; "" into none.'),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete a group; refused while devices are in it, unless they are moved.

    Example: mymote group delete pumps --move-to "Boiler rooms"
    """
    with calling(context) as api:
        group_id = names.group_id(api, group)
        agreed(f"Delete the group {group}?", yes)
        target = names.group_id(api, move_to) if move_to else move_to
        reply = api.call("deleteGroup", groupid=group_id, query={"move_to": target})
    output.done(reply, "Deleted.", as_json=as_json)
