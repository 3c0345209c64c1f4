"""The commands of `python -m x400`. Those that only ask the running gateway import none."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from x400.cli_updates import fault, update_rows
from x400.console import DEFAULT_STATE, Device, State, call, out

EPILOG = """
Examples, while `make run` is running:

    python -m x400 press                         one more reading

    python -m x400 notify --level alarm Flood    an alarm at once

    python -m x400 status                        LED, quota, what is pending

    python -m x400 unplug                        pull the cable

    python -m x400 fault cut-download --at 40    let the next update go wrong

A gateway of your own:

    MYMOTE_X400_CONNECTION_STRING="HostName=…" python -m x400 run

Every option of `run` can be an environment variable MYMOTE_X400_…; secrets come from the
environment or from files only, so that they do not stand in the list of processes.
"""

app = typer.Typer(
    help="A virtual X400 gateway: run one or many, and use the one that is running.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    add_completion=False,
    pretty_exceptions_show_locals=False,
)


class LevelName(StrEnum):
    """Levels of a notification."""

    INFO = "info"
    WARNING = "warning"
    ALARM = "alarm"


Port = Annotated[int | None, typer.Option(help="MQTT port; 8883, or 1883 with --plain.")]
CaFile = Annotated[Path | None, typer.Option(help="The CA that signed the hub's certificate.")]
Plain = Annotated[bool, typer.Option("--plain", help="MQTT without TLS, on this machine only.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")]


@app.command("run")
def run_one(  # noqa: PLR0917 - typer makes options of them
    connection_string_file: Annotated[
        Path | None, typer.Option(help="A file that holds the device's connection string.")
    ] = None,
    device_key_file: Annotated[
        Path | None, typer.Option(help="A file that holds the device key (64 characters).")
    ] = None,
    state: State = DEFAULT_STATE,
    port: Port = None,
    ca_file: CaFile = None,
    plain: Plain = False,
    verbose: Verbose = False,
) -> None:
    """Run one gateway with the demo app until Ctrl-C.

    It needs a connection string: MYMOTE_X400_CONNECTION_STRING or --connection-string-file.
    """
    from x400 import cli_run

    cli_run.one(
        verbose=verbose,
        connection_string_file=connection_string_file,
        device_key_file=device_key_file,
        state=state,
        port=port,
        ca_file=ca_file,
        plain=plain or None,
    )


@app.command()
def fleet(  # noqa: PLR0917 - typer makes options of them
    file: Annotated[Path, typer.Argument(help="A connection string and a device key a line.")],
    state: State = DEFAULT_STATE,
    port: Port = None,
    ca_file: CaFile = None,
    plain: Plain = False,
    verbose: Verbose = False,
) -> None:
    """Run many gateways in one process, each with the demo app, until Ctrl-C."""
    from x400 import cli_run

    cli_run.fleet(
        file, verbose=verbose, state=state, port=port, ca_file=ca_file, plain=plain or None
    )


app.command()(fault)


@app.command()
def press(state: State = DEFAULT_STATE, device: Device = None) -> None:
    """Press the button: the demo app sends a reading."""
    answer = call(state, "press", device)
    if answer["mid"] is None:
        out.print("The button was pressed; the app sent nothing in answer.")
        return
    out.print(f"Stored message {answer['mid']}: {escape(answer['body'])}", soft_wrap=True)


@app.command()
def notify(
    text: Annotated[str, typer.Argument(help="At most 100 bytes of UTF-8.")],
    level: Annotated[LevelName, typer.Option(help="How urgent it is.")] = LevelName.INFO,
    state: State = DEFAULT_STATE,
    device: Device = None,
) -> None:
    """Send a notification at once."""
    answer = call(state, "notify", device, level=level.value, text=text)
    later = "" if answer["connected"] else "; it goes out when the gateway is connected again"
    out.print(f"Stored notification {answer['mid']} ({level.value}){later}.")


@app.command()
def status(state: State = DEFAULT_STATE, device: Device = None) -> None:
    """Show LED, network, pending messages, quota, user messages and updates."""
    answer = call(state, "status", device)
    table = Table(show_header=False, box=None)
    used, limit = answer["messages_used"], answer["messages_limit"]
    notified, most = answer["notifications_used"], answer["notifications_limit"]
    rows = {
        "Device": answer["device"],
        "CLOUD LED": answer["led"],
        "Network": f"{answer['net_status'].replace('_', ' ').lower()} "
        f"({answer['net_type'].lower()}{'' if answer['plugged'] else ', unplugged'})",
        "App": answer["app"] or "none has begun",
        "Pending": f"{answer['pending']} for the cloud",
        "Messages today": f"{used} of {limit}",
        "Notifications today": f"{notified} of {most}",
        "User messages": f"{answer['user_messages']} of 10, for the app",
    } | update_rows(answer)
    for name, value in rows.items():
        table.add_row(name, escape(str(value)))
    out.print(table)


@app.command()
def messages(state: State = DEFAULT_STATE, device: Device = None) -> None:
    """Show the user messages: those that wait, and the last ones the app has read."""
    answer = call(state, "messages", device)
    if not answer["waiting"] and not answer["read"]:
        out.print("No user message has come.")
    for label in ("read", "waiting"):
        for body in answer[label]:
            out.print(f"[dim]{label:8}[/dim]{escape(body)}", soft_wrap=True)


@app.command()
def unplug(state: State = DEFAULT_STATE, device: Device = None) -> None:
    """Pull the network cable: messages are kept until `plug`."""
    call(state, "unplug", device)
    out.print("The network cable is out.")


@app.command()
def plug(state: State = DEFAULT_STATE, device: Device = None) -> None:
    """Put the network cable back."""
    call(state, "plug", device)
    out.print("The network cable is in.")


@app.command()
def reboot(state: State = DEFAULT_STATE, device: Device = None) -> None:
    """Reset the gateway: it connects anew, its app begins again, nothing stored is lost."""
    call(state, "reboot", device)
    out.print("The gateway resets.")
