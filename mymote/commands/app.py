"""`mymote app …`, `mymote firmware …`: what runs on the gateways, over the air."""

from typing import Annotated

import typer

from mymote import complete, names, output, uploads
from mymote.calling import calling
from mymote.options import (
    AsJson,
    Everything,
    IfMatch,
    Limit,
    Yes,
    agreed,
    bound,
    if_match,
)
from mymote.output import Column

app = typer.Typer(no_args_is_help=True, help="Apps and their versions.")
firmware_app = typer.Typer(no_args_is_help=True, help="Firmware of the gateways.")

APPS = (
    Column("APP ID", "id", keep=True),
    Column("NAME", "name", cut=8),
    Column("LAST VERSION ID", "last_app_version_id", keep=True),
)
VERSIONS = (
    Column("VERSION ID", "id", keep=True),
    Column("VERSION", "version"),
    Column("FROM", output.time_of("dateTime")),
    Column("BYTES", "size", right=True),
    Column("NOTE", "note", cut=8),
)
FIRMWARE = (
    Column("FIRMWARE ID", "id", keep=True),
    Column("TYPE", "type"),
    Column("VERSION", "version"),
    Column("FROM", output.time_of("dateTime")),
    Column("BYTES", "size", right=True),
    Column("NAME", "name", cut=8),
    Column("NOTE", "note", cut=8),
)

App = Annotated[
    str, typer.Argument(metavar="APP", help="Its id or name.", autocompletion=complete.apps)
]
VersionId = Annotated[str, typer.Argument(metavar="VERSION_ID", help="As `app versions` shows it.")]
FirmwareId = Annotated[
    str, typer.Argument(metavar="FIRMWARE_ID", help="As `firmware list` shows it.")
]


@app.command("list")
def list_apps(
    context: typer.Context,
    *,
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """The account's apps."""
    with calling(context) as api:
        most = bound(limit, everything)
        found = api.each("listApps", limit=most)
        empty = "No apps yet; `mymote app create NAME` makes one."
        output.listed(found, APPS, empty, most, as_json=as_json)


@app.command("show")
def show(context: typer.Context, app: App, as_json: AsJson = False) -> None:
    """One app."""
    with calling(context) as api:
        found = api.call("getApp", appid=names.app_id(api, app))
    output.shown(found, as_json=as_json)


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="For people.")],
    as_json: AsJson = False,
) -> None:
    """Make an app; `app upload` adds its versions."""
    with calling(context) as api:
        made = api.call("createApp", json={"name": name})
    output.shown(made, as_json=as_json, said="Made.")


@app.command("edit")
def edit(
    context: typer.Context,
    app: App,
    *,
    name: Annotated[str, typer.Option(help="For people.")],
    etag: IfMatch = "",
    as_json: AsJson = False,
) -> None:
    """Rename an app."""
    with calling(context) as api:
        changed = api.call(
            "updateApp", appid=names.app_id(api, app), json={"name": name}, headers=if_match(etag)
        )
    output.shown(changed, as_json=as_json, said="Changed.")


@app.command("delete")
def delete(context: typer.Context, app: App, *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete an app and all its versions."""
    with calling(context) as api:
        agreed(f"Delete the app {app} and all its versions?", yes)
        reply = api.call("deleteApp", appid=names.app_id(api, app))
    output.done(reply, "Deleted.", as_json=as_json)


@app.command("versions")
def versions(
    context: typer.Context,
    app: App,
    *,
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """An app's versions."""
    with calling(context) as api:
        most = bound(limit, everything)
        found = api.each("listAppVersions", appid=names.app_id(api, app), limit=most)
        empty = "No versions yet; `mymote app upload` adds one."
        output.listed(found, VERSIONS, empty, most, as_json=as_json)


@app.command("show-version")
def show_version(
    context: typer.Context, app: App, version_id: VersionId, as_json: AsJson = False
) -> None:
    """One version of an app."""
    with calling(context) as api:
        found = api.call("getAppVersion", appid=names.app_id(api, app), appversionid=version_id)
    output.shown(found, as_json=as_json)


@app.command("upload")
def upload(
    context: typer.Context,
    app: App,
    file: Annotated[str, typer.Argument(metavar="FILE", help="The app, as it is built.")],
    *,
    version: Annotated[str, typer.Option(help="a.b.c, each 0 to 255.")],
    note: Annotated[str, typer.Option(help="What is new.")] = "",
    create: Annotated[
        bool, typer.Option("--create", help="Make the app, if there is none of this name.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Upload a new version of an app.

    Example: mymote app upload "Pump control" build/pump.bin --version 1.4.0
    """
    with calling(context) as api:
        uploads.check(file)
        app_id = names.app_id(api, app, create=create)
        query: dict[str, object] = {"version": version, "note": note}
        made = uploads.upload(api, "uploadAppVersion", file, query=query, appid=app_id)
    output.shown(made, as_json=as_json, said="Uploaded.")


@app.command("delete-version")
def delete_version(
    context: typer.Context,
    app: App,
    version_id: VersionId,
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete one version of an app."""
    with calling(context) as api:
        agreed(f"Delete the version {version_id}?", yes)
        reply = api.call("deleteAppVersion", appid=names.app_id(api, app), appversionid=version_id)
    output.done(reply, "Deleted.", as_json=as_json)


@firmware_app.command("list")
def list_firmware(
    context: typer.Context,
    *,
    type_: Annotated[str, typer.Option("--type", help="For gateways of this type only.")] = "",
    as_json: AsJson = False,
) -> None:
    """Firmware that gateways can be updated to, newest first."""
    with calling(context) as api:
        found = api.call("listFirmware", query={"type": type_} if type_ else None)
    output.listed(found, FIRMWARE, "No firmware.", as_json=as_json)


@firmware_app.command("show")
def show_firmware(context: typer.Context, firmware_id: FirmwareId, as_json: AsJson = False) -> None:
    """One firmware."""
    with calling(context) as api:
        found = api.call("getFirmware", firmwareid=firmware_id)
    output.shown(found, as_json=as_json)
