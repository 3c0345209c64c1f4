"""`mymote device settings …`: what the owner configures on a gateway, its desired properties."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from mymote import names, output
from mymote.calling import calling
from mymote.failures import usage
from mymote.options import AsJson, Device, IfMatch, if_match

Set = Annotated[
    list[str],
    typer.Option(
        "--set",
        metavar="NAME=VALUE",
        help="Repeatable. VALUE is JSON, or else a text; a.b=1 sets b within a.",
    ),
]
Unset = Annotated[
    list[str], typer.Option("--unset", metavar="NAME", help="Remove this one. Repeatable.")
]
File = Annotated[
    str,
    typer.Option(
        "--file",
        metavar="FILE",
        help="A JSON merge patch (RFC 7396): null removes; - reads it from stdin.",
    ),
]


def settings(
    context: typer.Context,
    device: Device,
    *,
    set_: Set = [],  # noqa: B006 - Typer copies it
    unset: Unset = [],  # noqa: B006
    file: File = "",
    etag: IfMatch = "",
    as_json: AsJson = False,
) -> None:
    """Show a gateway's settings, or change them with --set, --unset or --file.

    Example: mymote device settings Pump --set interval=60 --set limits.high=8.5 --unset debug
    """
    patch = _patch(set_, unset, file)
    with calling(context) as api:
        device_id = names.device_id(api, device)
        if patch:
            found = api.call(
                "updateDeviceSettings", deviceid=device_id, json=patch, headers=if_match(etag)
            )
        else:
            found = api.call("getDeviceSettings", deviceid=device_id)
    output.shown(found, as_json=as_json)


def _patch(set_: list[str], unset: list[str], file: str) -> dict[str, Any]:
    patch = _read(file) if file else {}
    for given in set_:
        name, equals, value = given.partition("=")
        if not equals:
            raise usage(f"--set takes NAME=VALUE, not '{given}'.")
        _put(patch, name, _value(value))
    for name in unset:
        _put(patch, name, None)
    return patch


def _put(patch: dict[str, Any], name: str, value: object) -> None:
    *outer, last = name.split(".")
    if not all([*outer, last]):
        raise usage(f"'{name}' is no name of a setting.")
    for part in outer:
        patch = patch.setdefault(part, {})
        if not isinstance(patch, dict):
            raise usage(f"'{name}' is within '{part}', which is set to a value itself.")
    patch[last] = value


def _value(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _read(file: str) -> dict[str, Any]:
    try:
        text = (
            typer.get_text_stream("stdin").read() if file == "-" else Path(file).read_text("utf-8")
        )
        patch = json.loads(text)
    except OSError as error:
        raise usage(f"{file} cannot be read ({error.strerror}).") from None
    except ValueError:
        raise usage(f"{file} holds no JSON.") from None
    if not isinstance(patch, dict):
        raise usage(f"{file} must hold a JSON object.")
    return patch
