"""`mymote app send`, `mymote firmware send`: orders over the air."""

from typing import TYPE_CHECKING, Annotated

import typer

from mymote import names, output, watching
from mymote.calling import calling
from mymote.commands.app import App
from mymote.options import AsJson, Device, Yes, agreed

if TYPE_CHECKING:
    import httpx

    from mymote.api import Api

Version = Annotated[str, typer.Argument(metavar="VERSION", help="Its id, or its number: 1.4.0.")]
Firmware = Annotated[
    str, typer.Argument(metavar="FIRMWARE", help="Its id, its version or its name.")
]
Watch = Annotated[
    bool, typer.Option("--watch", "-w", help="Show how it goes until it is done; 0 if it is.")
]


def send_app(
    context: typer.Context,
    device: Device,
    app: App,
    version: Version,
    *,
    watch: Watch = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have a gateway install a version of an app, over the air.

    Example: mymote app send "Pump 3" "Pump control" 1.4.0 --watch
    """
    with calling(context) as api:
        device_id = names.device_id(api, device)
        app_id = names.app_id(api, app)
        found = names.app_version(api, app_id, version)
        agreed(f"Have {device_id} install version {found['version']}?", yes)
        response = api.order(
            "sendNewApp", deviceid=device_id, appid=app_id, appversionid=found["id"]
        )
        _ordered(api, response, watch=watch, as_json=as_json)


def send_firmware(
    context: typer.Context,
    device: Device,
    firmware: Firmware,
    *,
    watch: Watch = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Have a gateway install a firmware, over the air and now.

    Example: mymote firmware send "Pump 3" 2.1.0 --watch
    """
    with calling(context) as api:
        device_id = names.device_id(api, device)
        found = names.firmware(api, device_id, firmware)
        agreed(f"Have {device_id} install the firmware {found['version']} now?", yes)
        response = api.order("sendNewFirmware", deviceid=device_id, firmwareid=found["id"])
        _ordered(api, response, watch=watch, as_json=as_json)


def _ordered(api: "Api", response: "httpx.Response", *, watch: bool, as_json: bool) -> None:
    from mymote.api import entity  # noqa: PLC0415 - its HTTP client takes a fifth of a second

    job_id = response.headers.get("Location", "").rpartition("/")[2]
    if not watch:
        said = f"Ordered: job {job_id}. `mymote job watch {job_id}` shows how it goes."
        output.done({**entity(response), "id": job_id}, said, as_json=as_json)
        return
    if not as_json:
        output.note(f"Ordered: job {job_id}. Ctrl-C ends the watching, not the job.")
    watching.watch(api, job_id, as_json=as_json)
