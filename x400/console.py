"""What the commands of `python -m x400` share: the terminal, two options, the running gateway."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from x400 import control

State = Annotated[
    Path, typer.Option("--state", envvar="MYMOTE_X400_STATE", help="The state directory.")
]
Device = Annotated[
    str | None, typer.Option("--device", help="The device id, where several gateways run.")
]
DEFAULT_STATE = Path(".run/x400")

out = Console()
err = Console(stderr=True)


def call(state: Path, command: str, device: str | None, **arguments: Any) -> dict[str, Any]:
    """The answer of the gateway that is running. Raises typer.Exit."""
    try:
        return control.call(state, command, device, **arguments)
    except control.ControlError as error:
        raise fail(str(error)) from None


def fail(text: str) -> typer.Exit:
    """Say what is wrong, and how to end."""
    err.print(f"[red]x400:[/red] {escape(text)}", highlight=False, soft_wrap=True)
    return typer.Exit(1)
