"""`python -m tests.ledger`: the whole ledger harness, for people."""

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from tests.ledger.run import Options, run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
DEFAULTS = Options()


def number(text: str = "", least: int = 0) -> Any:
    """An option that counts something."""
    return typer.Option(min=least, help=text)


@app.command()
def main(
    seed: Annotated[int, typer.Option(help="Chooses every message, moment and victim.")] = 1,
    messages: Annotated[int, number(least=1)] = DEFAULTS.messages,
    gateways: Annotated[int, number(least=10)] = DEFAULTS.gateways,
    accounts: Annotated[int, number(least=3)] = DEFAULTS.accounts,
    fleets: Annotated[int, number("Processes of gateways.", 1)] = DEFAULTS.fleets,
    seconds: Annotated[float, typer.Option(min=5, help="Of traffic.")] = DEFAULTS.seconds,
    kills: Annotated[
        int, number("SIGKILLs of both ingest processes and the local Azure.")
    ] = DEFAULTS.kills,
    fleet_kills: Annotated[int, number("SIGKILLs of gateways' processes.")] = DEFAULTS.fleet_kills,
    pauses: Annotated[int, number("SIGSTOPs of ingest.")] = DEFAULTS.pauses,
    changes: Annotated[int, number("Changes of pairings.")] = DEFAULTS.changes,
    refusals: Annotated[int, number("Queues disabled for a while.")] = DEFAULTS.refusals,
    cuts: Annotated[int, number("Gateways that lose their power.")] = DEFAULTS.cuts,
    offline: Annotated[
        int, number("Gateways that change hands while they have no network.")
    ] = DEFAULTS.offline,
    repeats: Annotated[
        float, typer.Option(min=0, max=1, help="Share of events that IoT Hub follows by repeats.")
    ] = DEFAULTS.repeats,
    lost_pubacks: Annotated[
        float, typer.Option(min=0, max=0.9, help="Share of PUBACKs that are lost.")
    ] = DEFAULTS.lost_pubacks,
    settle_seconds: Annotated[
        float, typer.Option(min=1, help="To become quiet after the last fault.")
    ] = DEFAULTS.settle_seconds,
    directory: Annotated[
        Path | None, typer.Option(help="Keeps logs and records; else a temporary one does.")
    ] = None,
) -> None:
    """Send messages through a platform in which everything fails, and check each one's fate.

    Ends with 1 if a message was lost, doubled, out of order, given to others or counted wrongly.
    """
    logging.disable(logging.ERROR)  # the SDKs tell of each connection that a kill broke
    options = Options(
        seed=seed,
        messages=messages,
        gateways=gateways,
        accounts=accounts,
        fleets=fleets,
        seconds=seconds,
        kills=kills,
        fleet_kills=fleet_kills,
        pauses=pauses,
        changes=changes,
        refusals=refusals,
        cuts=cuts,
        offline=offline,
        repeats=repeats,
        lost_pubacks=lost_pubacks,
        settle_seconds=settle_seconds,
    )
    place = directory or Path(tempfile.mkdtemp(prefix="mymote-ledger-"))
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - began:6.1f} s] {text}", flush=True)

    outcome = asyncio.run(run(options, place, say))
    print(outcome.text)
    print(f"logs and records: {place}")
    sys.exit(1 if outcome.report.violations else 0)


app(prog_name="python -m tests.ledger")
