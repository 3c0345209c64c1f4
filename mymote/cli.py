"""The commands of `mymote`, put together; and how each ends."""

import os
import sys
from typing import Annotated

import typer

from mymote import complete
from mymote.commands import (
    account,
    app,
    call,
    device,
    group,
    job,
    key,
    login,
    message,
    notification,
    operator,
    pairing,
    parked,
    person,
    send,
    settings,
    tail,
)
from mymote.failures import FAILED, Failure

root = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,  # its tracebacks print local variables, keys among them
)

DAILY, ACCESS = "Every day", "Account and access"


@root.callback()
def _root(
    profile: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Another profile than the one in use; or set MYMOTE_PROFILE.",
            autocompletion=complete.profile_names,
        ),
    ] = "",
) -> None:
    """Your X400 gateways, from the command line.

    Begin with `mymote login`. Every list and every reply is JSON with --json. A command ends with
    status 0, or 1 where it failed, 2 wrong arguments, 3 signed in as nobody or not allowed,
    4 not there, 5 in conflict with what is there.
    """


device.app.command("settings")(settings.settings)
device.app.command("pair")(pairing.pair)
device.app.command("import")(pairing.import_devices)
device.app.command("send")(message.send)
device.app.command("messages")(message.list_messages)
device.app.command("app")(send.send_app)
device.app.command("firmware")(send.send_firmware)
app.app.command("send")(send.send_app)
app.firmware_app.command("send")(send.send_firmware)

# The panel of the first command stands first.
root.command("notifications", rich_help_panel=DAILY)(notification.notifications)
root.command("tail", rich_help_panel=DAILY)(tail.tail)
root.command("call", rich_help_panel=DAILY)(call.call)
root.command("login", rich_help_panel=ACCESS)(login.login)
root.command("join", rich_help_panel=ACCESS)(login.join)
root.command("logout", rich_help_panel=ACCESS)(login.logout)
root.command("whoami", rich_help_panel=ACCESS)(login.whoami)
root.command("password", rich_help_panel=ACCESS)(login.password)
root.add_typer(login.profile_app, name="profile", rich_help_panel=ACCESS)
root.add_typer(device.app, name="device", rich_help_panel=DAILY)
root.add_typer(group.app, name="group", rich_help_panel=DAILY)
root.add_typer(message.app, name="message", rich_help_panel=DAILY)
root.add_typer(notification.app, name="notification", rich_help_panel=DAILY)
root.add_typer(parked.app, name="parked", rich_help_panel=DAILY)
root.add_typer(app.app, name="app", rich_help_panel=DAILY)
root.add_typer(app.firmware_app, name="firmware", rich_help_panel=DAILY)
root.add_typer(job.app, name="job", rich_help_panel=DAILY)
root.add_typer(account.app, name="account", rich_help_panel=ACCESS)
root.add_typer(account.queue_app, name="queue", rich_help_panel=ACCESS)
root.add_typer(key.app, name="key", rich_help_panel=ACCESS)
root.add_typer(person.person_app, name="person", rich_help_panel=ACCESS)
root.add_typer(person.invitation_app, name="invitation", rich_help_panel=ACCESS)
root.add_typer(person.session_app, name="session", rich_help_panel=ACCESS)
root.command("audit", rich_help_panel=ACCESS)(person.audit)
root.add_typer(operator.app, name="operator", rich_help_panel=ACCESS)


def main() -> int:
    """Run one command; a failure is a sentence on stderr and the exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a TextIOWrapper
    try:
        try:
            root(prog_name="mymote")
        finally:
            sys.stdout.flush()
    except Failure as failure:
        print(failure, file=sys.stderr)
        return failure.status
    except BrokenPipeError:
        # Whoever read has left; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    return 0
