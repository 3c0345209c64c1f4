"""Running one command: open Azure, work, close, and say what went wrong in a sentence."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, NoReturn, TypeVar

import typer
from azure.core.exceptions import AzureError

from services.api.logic import pairing
from services.api.resources import Resources, open_resources
from services.api.settings import ApiSettings
from shared.errors import MyMoteError
from shared.logs import configure_logging
from shared.settings import Misconfigured, load_settings

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON value on stdout, for programs.")]

FAILED = 1
MISCONFIGURED = 2
INTERRUPTED = 130  # as shells have it: 128 and SIGINT


def run(work: Callable[[Resources], Awaitable[T]], *, as_json: bool) -> T:
    """What `work` returns. Ends the process with a sentence on stderr where it fails."""
    configure_logging("operator", "ERROR")
    try:
        settings = load_settings(ApiSettings)
    except Misconfigured as error:
        fail(str(error), as_json=as_json, status=MISCONFIGURED)
    try:
        return asyncio.run(_with_resources(settings, work))
    except MyMoteError as error:
        fail(str(error), as_json=as_json)
    except AzureError as error:
        fail(
            f"Azure refused: {type(error).__name__}. Check the settings, and that the database "
            "was made with `mymote-operator provision`.",
            as_json=as_json,
        )
    except KeyboardInterrupt:
        fail(
            "Interrupted: what was done stays done; the same command goes on.",
            as_json=as_json,
            status=INTERRUPTED,
        )


def pairing_stores(resources: Resources) -> pairing.Stores:
    """What pairing changes."""
    return pairing.Stores(
        accounts=resources.accounts,
        groups=resources.groups,
        gateways=resources.gateways,
        devices=resources.devices,
        hub=resources.hub,
        user_messages=resources.user_messages,
    )


async def _with_resources(settings: ApiSettings, work: Callable[[Resources], Awaitable[T]]) -> T:
    async with open_resources(settings) as resources:
        return await work(resources)


def fail(sentence: str, *, as_json: bool, status: int = FAILED) -> NoReturn:
    """End the process with a sentence on stderr."""
    typer.echo(json.dumps({"error": sentence}) if as_json else sentence, err=True)
    raise typer.Exit(status)
