"""`python -m stack`: the whole platform on this machine; `python -m stack show` reads its card."""

import asyncio
import contextlib
import fcntl
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape

from stack import card, demo
from stack.environment import api_environment, dotenv, gateway_environment
from stack.keys import write_private
from stack.local import LocalStack, StackError
from stack.settings import StackSettings
from stack.supervisor import supervise

app = typer.Typer(
    add_completion=False,
    help=__doc__,
    invoke_without_command=True,
    pretty_exceptions_enable=False,  # its tracebacks print local variables, keys among them
)
console = Console()
errors = Console(stderr=True)


@app.callback()
def run(context: typer.Context) -> None:
    """Start everything, print the card, and run until Ctrl-C."""
    if context.invoked_subcommand:
        return
    settings = _settings()
    try:
        with _only_one(settings):
            asyncio.run(_run(settings))
    except StackError as error:
        raise _fail(f"The stack stopped: {error}", 1) from None


@app.command()
def show(name: str = typer.Argument("", help="One entry of demo.json; without it, all.")) -> None:
    """Print the card's entries, or one alone for use in a command line."""
    settings = _settings()
    try:
        made = demo.load(settings.state_dir / "demo.json")
    except StackError as error:
        raise _fail(str(error), 1) from None
    if made is None:
        raise _fail(f"There is no demo in {settings.state_dir} yet: `make run` makes it.", 1)
    entries = asdict(made) | {"devices_url": made.devices_url}
    if not name:
        for key, value in entries.items():
            print(f"{key}={value}")
        return
    if name not in entries:
        raise _fail(f"No entry {name}. There are: {', '.join(entries)}", 2)
    print(entries[name])


async def _run(settings: StackSettings) -> None:
    stack = LocalStack.prepare(settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # SIGHUP: its window closed
        loop.add_signal_handler(number, stopping.set)
    try:
        work = asyncio.create_task(_serve(stack))
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if not work.done():
            work.cancel()
            console.print("\nStopping ...")
        with contextlib.suppress(asyncio.CancelledError):
            await work
    finally:
        await stack.stop()
    console.print("Everything has stopped; nothing is lost. `make run` continues.")


async def _serve(stack: LocalStack) -> None:
    started = time.monotonic()
    settings = stack.settings
    stack.check_ports()
    with _step("local Azure (IoT Hub, Event Hubs, Service Bus, Cosmos DB, Blob)"):
        await stack.start_azure()
    for_api = api_environment(stack.endpoints)
    write_private(settings.state_dir / "env", dotenv(stack.service_environment | for_api))
    with _step("account and gateway"):
        path = settings.state_dir / "demo.json"
        made = await demo.load_or_make(path, stack.endpoints, stack.service_environment)
        demo.write_binary(settings.state_dir)
    with _step("api, ota and ingest"):
        await stack.start_service("api", extra=for_api)
        for name in ("ota", "ingest"):
            await stack.start_service(name)
        await asyncio.gather(*(stack.wait_ready(name) for name in ("api", "ota", "ingest")))
    with _step("gateway connects"):
        await stack.start(
            "x400",
            ("x400", "run"),
            gateway_environment(stack.endpoints, made.device_connection_string, made.device_key),
        )
        await stack.wait_connected("x400", made.user_id, made.api_key, made.device_id)
    card.show(console, made, settings, time.monotonic() - started)
    await supervise(stack, lambda text: console.print(f"[yellow]{text}[/]", highlight=False))


@contextlib.contextmanager
def _step(name: str) -> Iterator[None]:
    started = time.monotonic()
    with console.status(f"{name} ..."):
        yield
    console.print(f"[green]✓[/] {name} [dim]{time.monotonic() - started:.1f} s[/]", highlight=False)


@contextlib.contextmanager
def _only_one(settings: StackSettings) -> Iterator[None]:
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"{settings.state_dir} cannot be made ({error.strerror})") from None
    with (settings.state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"another stack runs on {settings.state_dir} already. Stop it with Ctrl-C in its "
                "terminal, or start this one with MYMOTE_STACK_STATE_DIR and other ports."
            ) from None
        yield


def _settings() -> StackSettings:
    try:
        return StackSettings()
    except ValidationError as error:
        wrong = "; ".join(
            f"MYMOTE_STACK_{str(one['loc'][0]).upper()}: {one['msg']}"
            for one in error.errors(include_input=False)
        )
        raise _fail(f"Wrong settings: {wrong}.", 2) from None


def _fail(text: str, code: int) -> typer.Exit:
    errors.print(f"[red]{escape(text)}[/]", highlight=False)
    return typer.Exit(code)
