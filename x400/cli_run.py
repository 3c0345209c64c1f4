"""What `python -m x400 run` and `fleet` do: gateways in this process, until Ctrl-C."""

import asyncio
import logging
from pathlib import Path

from pydantic import ValidationError

from x400.console import fail, out
from x400.control import ControlError
from x400.demo import demo
from x400.running import read_fleet, run
from x400.settings import GatewaySettings
from x400.store import StoreInUseError


def one(*, verbose: bool, **options: object) -> None:
    """Run one gateway of these settings; None leaves one to the environment. Raises typer.Exit."""
    _log(verbose=verbose)
    _run([_settings(**options)])


def fleet(file: Path, *, verbose: bool, **options: object) -> None:
    """Run those of a file, with these settings in common. Raises typer.Exit."""
    _log(verbose=verbose)
    shared = _settings(**options)
    try:
        gateways = read_fleet(file, shared)
    except OSError as error:
        raise fail(f"cannot read {file}: {error.strerror}") from None
    except ValueError as error:
        raise fail(str(error)) from None
    _run(gateways)


def _run(settings: list[GatewaySettings]) -> None:
    def ready() -> None:
        names = settings[0].credentials().device_id
        if len(settings) > 1:
            names = f"{len(settings)} gateways"
        text = f"{names} running; Ctrl-C stops. State is kept in {settings[0].state}."
        out.print(text, soft_wrap=True)

    try:
        asyncio.run(run(settings, demo, ready))
    except (ControlError, StoreInUseError, ValueError) as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{error.strerror}: {error.filename}") from None


def _settings(**options: object) -> GatewaySettings:
    given = {name: value for name, value in options.items() if value is not None}
    try:
        return GatewaySettings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
            for one in error.errors(include_input=False)
        )
        raise fail(f"wrong settings: {wrong}") from None


def _log(*, verbose: bool) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)-7s %(name)s %(message)s",
    )
    for name in ("httpx", "httpcore"):  # they tell addresses, and those hold tickets
        logging.getLogger(name).setLevel(logging.WARNING)
