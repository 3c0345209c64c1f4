"""`python -m stack`: the whole platform on this machine; `python -m stack show` reads its card."""

import asyncio
import contextlib
import fcntl
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict

import typer
from rich.console import Console

from stack import card, demo
from stack.environment import dotenv, gateway_environment
from stack.keys import write_private
from stack.local import LocalStack, StackError
from stack.settings import StackSettings
from stack.supervisor import supervise

app = typer.Typer(add_completion=False, help=__doc__, invoke_without_command=True)
console = Console()


@app.callback()
def run(context: typer.Context) -> None:
    """Start everything, print the card, and run until Ctrl-C."""
    if context.invoked_subcommand:
        return
    settings = StackSettings()
    try:
        with _only_one(settings):
            asyncio.run(_run(settings))
    except StackError as error:
        console.print(f"[bold red]The stack stopped:[/] {error}", highlight=False)
        raise typer.Exit(1) from None


@app.command()
def show(name: str = typer.Argument("", help="One entry of demo.json; without it, all.")) -> None:
    """Print the card's entries, or one alone for use in a command line."""
    settings = StackSettings()
    made = demo.load(settings.state_dir / "demo.json")
    if made is None:
        console.print("There is no demo here yet: `make run` makes it.")
        raise typer.Exit(1)
    entries = asdict(made) | {"devices_url": made.devices_url}
    if not name:
        for key, value in entries.items():
            print(f"{key}={value}")
        return
    if name not in entries:
        console.print(f"No entry {name}. There are: {', '.join(entries)}")
        raise typer.Exit(2)
    print(entries[name])


async def _run(settings: StackSettings) -> None:
    stack = LocalStack.prepare(settings)
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
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
    write_private(settings.state_dir / "env", dotenv(stack.service_environment))
    with _step("account and gateway"):
        path = settings.state_dir / "demo.json"
        made = demo.load(path) or await demo.make(path, stack.endpoints, stack.service_environment)
    with _step("api and ingest"):
        for name in ("api", "ingest"):
            await stack.start_service(name)
        await asyncio.gather(stack.wait_ready("api"), stack.wait_ready("ingest"))
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
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    with (settings.state_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"another stack runs on {settings.state_dir} already. Stop it with Ctrl-C in its "
                "terminal, or start this one with MYMOTE_STACK_STATE_DIR and other ports."
            ) from None
        yield


if __name__ == "__main__":
    app()
