"""`mymote operator …`: what the platform's operator does from afar, with the operator's key."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from mymote import output, profiles, uploads
from mymote.calling import api_of, profile_of
from mymote.commands.app import FIRMWARE, FirmwareId
from mymote.commands.key import Expires, Scopes, new_key
from mymote.options import AsJson, Everything, Limit, Yes, agreed, bound, secret
from mymote.output import Column
from mymote.profiles import Place

if TYPE_CHECKING:
    from mymote.api import Api

KEY = "MYMOTE_OPERATOR_KEY"

app = typer.Typer(
    no_args_is_help=True, help=f"For the platform's operator, whose key stands in {KEY}."
)

ACCOUNTS = (
    Column("USER ID", "user_id", keep=True),
    Column("USERNAME", "username", cut=8),
    Column("KEYS", "api_keys", right=True),
    Column("PEOPLE", "people", right=True),
    Column("NAMESPACE", "servicebus_namespace"),
    Column("CREATED", output.time_of("created_at")),
)
NAMESPACES = (
    Column("NAMESPACE", "name", keep=True),
    Column("ACCOUNTS", "accounts", right=True),
    Column("CAPACITY", "capacity", right=True),
)
GATEWAYS = (
    Column("DEVICE ID", "device_id", keep=True),
    Column("TYPE", "type"),
    Column("PAIRED WITH", "user_id"),
    Column("NAME", "name", cut=8),
    Column("MADE", output.time_of("manufactured_at")),
)

Url = Annotated[str, typer.Option(help="Of the installation, if not the profile's.")]
UserId = Annotated[str, typer.Argument(metavar="USER_ID", help="The account's.")]


def _calling(context: typer.Context, url: str) -> "Api":
    if url:
        ca_file = os.environ.get("MYMOTE_CA_FILE", "")
        place = Place(profiles.checked_url(url), "", ca_file=ca_file)
    else:
        place = profiles.chosen(profile_of(context))
    return api_of(replace(place, operator_key=secret(False, KEY, "Operator's key")))


@app.command("accounts")
def accounts(
    context: typer.Context,
    *,
    url: Url = "",
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """All accounts of the platform."""
    with _calling(context, url) as api:
        most = bound(limit, everything)
        found = api.each("operatorListAccounts", limit=most)
        output.listed(found, ACCOUNTS, "No accounts yet.", most, as_json=as_json)


@app.command("account")
def account(
    context: typer.Context, user_id: UserId, *, url: Url = "", as_json: AsJson = False
) -> None:
    """One account."""
    with _calling(context, url) as api:
        found = api.call("operatorGetAccount", userid=user_id)
    output.shown(found, as_json=as_json)


@app.command("create-account")
def create_account(
    context: typer.Context,
    username: Annotated[str, typer.Argument(help="The customer's name.")],
    *,
    user_id: Annotated[str | None, typer.Option(help="Made up where it is left out.")] = None,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Make an account, with its queue and first API key."""
    asked = {"username": username} | ({"user_id": user_id} if user_id else {})
    with _calling(context, url) as api:
        made = api.call("operatorCreateAccount", json=asked)
    output.shown(made, as_json=as_json, said="Keep the api_key now; it cannot be shown again.")


@app.command("create-key")
def create_key(
    context: typer.Context,
    user_id: UserId,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    *,
    scopes: Scopes = [],  # noqa: B006 - Typer copies it
    expires: Expires = None,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Make an API key for an account whose owners lost theirs."""
    with _calling(context, url) as api:
        made = api.call("operatorCreateKey", userid=user_id, json=new_key(name, scopes, expires))
    output.shown(made, as_json=as_json, said="Keep the api_key now; it cannot be shown again.")


@app.command("invite")
def invite(
    context: typer.Context,
    user_id: UserId,
    *,
    note: Annotated[str, typer.Option(help="For whom it is.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Make a link by which an owner joins an account."""
    with _calling(context, url) as api:
        made = api.call("operatorInviteOwner", userid=user_id, json={"note": note})
    output.shown(made, as_json=as_json, said="Send them the link; it cannot be shown again.")


@app.command("namespaces")
def namespaces(context: typer.Context, *, url: Url = "", as_json: AsJson = False) -> None:
    """The namespaces that accounts are spread over, and how full they are."""
    with _calling(context, url) as api:
        found = api.call("operatorListNamespaces")
    output.listed(found, NAMESPACES, "No namespaces.", as_json=as_json)


@app.command("gateways")
def gateways(
    context: typer.Context,
    *,
    url: Url = "",
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """All gateways of the platform, paired or not."""
    with _calling(context, url) as api:
        most = bound(limit, everything)
        found = api.each("operatorListGateways", limit=most)
        output.listed(found, GATEWAYS, "No gateways yet.", most, as_json=as_json)


@app.command("manufacture")
def manufacture(
    context: typer.Context,
    count: Annotated[int, typer.Argument(min=1, max=20, help="How many.")] = 1,
    *,
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Make gateways: a device key and an identity in IoT Hub for each."""
    with _calling(context, url) as api:
        made = api.call("operatorManufactureGateways", json={"count": count})
    if as_json:
        output.json_value(made)
        return
    output.note("Keep what follows; it cannot be shown again.")
    for gateway in made:
        output.fields(gateway)
        print()


@app.command("list-firmware")
def list_firmware(
    context: typer.Context,
    *,
    type_: Annotated[str, typer.Option("--type", help="For gateways of this type only.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """All firmware of the platform, newest first."""
    with _calling(context, url) as api:
        found = api.call("operatorListFirmware", query={"type": type_} if type_ else None)
    output.listed(found, FIRMWARE, "No firmware yet.", as_json=as_json)


@app.command("show-firmware")
def show_firmware(
    context: typer.Context, firmware_id: FirmwareId, *, url: Url = "", as_json: AsJson = False
) -> None:
    """One firmware, with its download key."""
    with _calling(context, url) as api:
        found = api.call("operatorGetFirmware", firmwareid=firmware_id)
    output.shown(found, as_json=as_json)


@app.command("upload-firmware")
def upload_firmware(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The .bin as it is built.")],
    *,
    type_: Annotated[str, typer.Option("--type", help="The gateways it is for, such as X400.")],
    version: Annotated[str, typer.Option(help="a.b.c, each 0 to 255.")],
    note: Annotated[str, typer.Option(help="What is new.")] = "",
    url: Url = "",
    as_json: AsJson = False,
) -> None:
    """Upload a firmware, which every account can install on its gateways of the type."""
    query: dict[str, object] = {"type": type_, "version": version, "note": note}
    with _calling(context, url) as api:
        made = uploads.upload(api, "operatorUploadFirmware", file, query=query)
    output.shown(made, as_json=as_json, said="Uploaded.")


@app.command("delete-firmware")
def delete_firmware(
    context: typer.Context,
    firmware_id: FirmwareId,
    *,
    url: Url = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete a firmware; gateways that run it go on running it."""
    with _calling(context, url) as api:
        agreed(f"Delete the firmware {firmware_id}?", yes)
        reply = api.call("operatorDeleteFirmware", firmwareid=firmware_id)
    output.done(reply, "Deleted.", as_json=as_json)
