"""`python -m tests.ledger`: the whole ledger harness, for people."""

import asyncio
import logging
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer

from tests.ledger.run import Options, run

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
DEFAULTS = Options()


@app.command()
def main(
    seed: Annotated[int, typer.Option(help="Chooses every message, moment and victim.")] = 1,
    messages: Annotated[int, typer.Option(min=1)] = DEFAULTS.messages,
    gateways: Annotated[int, typer.Option(min=10)] = DEFAULTS.gateways,
    accounts: Annotated[int, typer.Option(min=3)] = DEFAULTS.accounts,
    kills: Annotated[
        int, typer.Option(min=0, help="SIGKILLs of both ingest processes and the local Azure.")
    ] = DEFAULTS.kills,
    changes: Annotated[int, typer.Option(min=0, help="Changes of pairings.")] = DEFAULTS.changes,
    seconds: Annotated[float, typer.Option(min=5, help="Of traffic.")] = DEFAULTS.seconds,
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
        kills=kills,
        changes=changes,
        seconds=seconds,
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
