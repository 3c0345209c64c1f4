"""What a person sees once the stack is up."""

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from stack.demo import APP, BINARY, Demo
from stack.settings import StackSettings


def show(console: Console, demo: Demo, settings: StackSettings, seconds: float) -> None:
    """Print the card: where to look, what to try, how to stop."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in (
        ("REST API", f"{demo.api_url}/docs"),
        ("user id", demo.user_id),
        ("API key", demo.api_key),
        ("sign in as", f"{demo.username}   password {demo.password}"),
        ("device", demo.device_id),
    ):
        facts.add_row(name, Text(value))
    console.print(
        Panel(
            facts,
            title=f"[bold green]MyMote is running[/] · ready in {seconds:.1f} s",
            title_align="left",
            border_style="green",
        )
    )
    # Outside the frame, so that it can be selected and pasted in one piece.
    console.print("[dim]queue connection string[/]")
    console.out(demo.queue_connection_string, highlight=False)
    console.print()
    console.print("[bold]Try[/], in a second terminal in this folder:")
    state = settings.state_dir
    if state != StackSettings.model_fields["state_dir"].default:
        console.print("  [dim]# this stack's state is not in its usual place[/]")
        console.out(f"  export MYMOTE_STACK_STATE_DIR={state} MYMOTE_X400_STATE={state}/x400")
    entry = ".venv/bin/python -m stack show"
    for command, meaning in (
        (".venv/bin/mymote login --demo", "sign in as this account with the command line"),
        (".venv/bin/mymote device list", "the gateway, and that it is Connected"),
        (f'curl "$({entry} devices_url)"', "the same as the REST API gives it"),
        (
            ".venv/bin/python examples/python/read_queue.py \\\n"
            f'    "$({entry} queue_connection_string)"',
            "its readings as they arrive; Ctrl-C ends",
        ),
        (".venv/bin/python -m x400 press", "press its button: one more reading"),
        (".venv/bin/python -m x400 notify --level alarm Flood", "raise an alarm"),
        (
            f'.venv/bin/mymote app upload "{APP}" {state}/{BINARY} \\\n'
            "    --version 1.1.0 --create",
            "upload another version of its app: any .bin will do",
        ),
        (
            f'.venv/bin/mymote app send Demo "{APP}" 1.1.0 --watch --yes',
            "have it installed over the air, and watch",
        ),
    ):
        console.print(f"  [dim]# {meaning}[/]")
        console.out(f"  {command}", highlight=False)
    console.print()
    console.print(f"[dim]All of this is in {state}/demo.json, logs are in {state}/logs.[/]")
    console.print("[dim]Ctrl-C stops everything; the next start continues.[/]")
