"""`python -m bench`: starts a local stack of its own, measures, and prints what it found."""

import argparse
import asyncio
import json
import logging
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench import machine, report
from bench.bare_loop import CONSUMER_GROUP
from bench.costs import Unfinished, measure
from bench.devices import measure_pages
from bench.downloads import measure_downloads
from services.api.resources import Resources, open_resources
from stack.demo import operator
from stack.local import LocalStack, StackError
from tests.ingest.local_platform import api_settings
from tests.load.many_accounts import many_accounts
from tests.running_stack import settings_on_free_ports

GROUPS = {"MYMOTE_EMULATOR_EVENT_HUB_CONSUMER_GROUPS": json.dumps([CONSUMER_GROUP])}


def main() -> None:
    """Run the benchmarks that the arguments ask for; exits with 1 where something is wrong."""
    arguments = _arguments()
    if sys.platform != "linux":
        sys.exit("The benchmarks read /proc, which Linux alone has.")
    logging.basicConfig(level=logging.ERROR)
    try:
        results = asyncio.run(_run(arguments))
    except (StackError, Unfinished, TimeoutError) as error:
        sys.exit(f"No result: {error}")
    print(report.as_json(results) if arguments.json else report.as_text(results))
    if results.many and results.many.violations:
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument(
        "--only",
        choices=("costs", "accounts", "devices", "downloads"),
        help="CPU for each message, many accounts, pages of the list of devices, or downloads",
    )
    parser.add_argument(
        "--accounts", type=int, default=3000, help="how many accounts get one message each (3000)"
    )
    parser.add_argument(
        "--platform",
        type=int,
        default=100_000,
        help="how many devices the platform has; one account has 10,000 of them (100000)",
    )
    return parser.parse_args()


async def _run(arguments: argparse.Namespace) -> report.Results:
    began = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began:6.1f} s  {text}", file=sys.stderr, flush=True)

    results = report.Results(machine.describe())
    if arguments.only in (None, "costs"):
        async with _running(say, "ingest") as (stack, resources):
            results.costs, results.idle = await measure(stack, resources, say)
    if arguments.only in (None, "accounts"):
        async with _running(say, "ingest") as (stack, resources):
            results.many = await many_accounts(stack, resources, arguments.accounts, say)
    if arguments.only in (None, "devices"):
        async with _running(say, "api") as (stack, resources):
            results.pages = await measure_pages(
                resources, stack.endpoints.api_url, arguments.platform, say
            )
    if arguments.only in (None, "downloads"):
        async with _running(say, "ota") as (stack, resources):
            results.downloads = await measure_downloads(stack, resources, say)
    results.seconds = time.monotonic() - began
    return results


@asynccontextmanager
async def _running(say: report.Say, service: str) -> AsyncIterator[tuple[LocalStack, Resources]]:
    """A local Azure with one service, in a folder that is deleted at the end."""
    say("starting a local stack ...")
    with tempfile.TemporaryDirectory(prefix="mymote-bench-") as folder:
        stack = LocalStack.prepare(settings_on_free_ports(Path(folder)))
        try:
            await stack.start_azure(extra=GROUPS)
            await operator(stack.service_environment, "provision")
            await stack.start_service(service)
            await stack.wait_ready(service)
            async with open_resources(api_settings(stack)) as resources:
                yield stack, resources
        finally:
            await stack.stop()


if __name__ == "__main__":
    main()
