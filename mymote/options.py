"""Options and arguments that many commands share."""

import os
import re
import sys
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from mymote import complete
from mymote.failures import INTERRUPTED, Failure, usage

AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, for programs.")]
Limit = Annotated[int, typer.Option(min=1, max=1_000_000, help="How many at most.")]
Everything = Annotated[bool, typer.Option("--all", help="All of them, whatever --limit says.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
IfMatch = Annotated[
    str,
    typer.Option(
        "--if-match",
        metavar="ETAG",
        help="Change it only while this is its ETag; `mymote call -i` shows it.",
    ),
]
Since = Annotated[
    str, typer.Option(metavar="TIME", help="From then on: 2h, 7d, 2026-03-01, 2026-03-01T08:00.")
]
Until = Annotated[str, typer.Option(metavar="TIME", help="Before then; as --since.")]

Device = Annotated[
    str,
    typer.Argument(
        help="Its id, the beginning of it, or its name.",
        metavar="DEVICE",
        autocompletion=complete.devices,
    ),
]
OfDevice = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="Of this device only: its id, the beginning of it, or its name.",
        autocompletion=complete.devices,
    ),
]
Group = Annotated[
    str,
    typer.Argument(help="Its id or name.", metavar="GROUP", autocompletion=complete.groups),
]
OfGroup = Annotated[
    str,
    typer.Option(
        "--group",
        metavar="GROUP",
        help="Of this group's devices only: its id or name.",
        autocompletion=complete.groups,
    ),
]

Location = Annotated[
    str | None,
    typer.Option(metavar="LAT,LON", help='Degrees, such as 41.890210,12.492231; "" for none.'),
]

_DURATION = re.compile(r"(\d{1,8})\s*([smhdw]?)\Z")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604_800}


def bound(limit: int, everything: bool) -> int | None:
    """How many to list; None for all."""
    return None if everything else limit


def if_match(etag: str) -> dict[str, str]:
    """The condition of a change, as headers."""
    return {"If-Match": f'"{etag.strip().strip(chr(34))}"'} if etag else {}


def seconds(given: str, option: str) -> int:
    """A duration: 90, 90s, 15m, 12h, 30d, 2w. Raises Failure."""
    found = _DURATION.match(given.strip().lower())
    if not found:
        raise usage(f"{option} is a duration such as 90s, 15m, 12h, 30d or 2w.")
    return int(found[1]) * _SECONDS[found[2]]


def point(given: str, option: str) -> str:
    """A time, ISO 8601 with an offset: a duration means so long ago, a bare time means here.

    Raises Failure.
    """
    if not given:
        return ""
    if _DURATION.match(given.strip().lower()):
        return _moved(-seconds(given, option), option)
    return _read_time(given, option)


def ahead(given: str, option: str) -> str:
    """As `point`, but a duration means so long from now."""
    if not given:
        return ""
    if _DURATION.match(given.strip().lower()):
        return _moved(seconds(given, option), option)
    return _read_time(given, option)


def _moved(by: int, option: str) -> str:
    try:
        return (datetime.now(UTC) + timedelta(seconds=by)).isoformat()
    except OverflowError:
        raise _no_time(option) from None


def _read_time(given: str, option: str) -> str:
    try:
        return datetime.fromisoformat(given).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        raise _no_time(option) from None


def _no_time(option: str) -> Failure:
    return usage(f"{option} is a time such as 2026-03-01T08:00, or a duration such as 2h or 7d.")


def agreed(question: str, yes: bool) -> None:
    """Go on only where a person says so. Raises Failure."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise usage(f"{question} Nobody is here to ask; say --yes.")
    try:
        agrees = typer.confirm(question, err=True)
    except typer.Abort:
        typer.echo(err=True)
        raise Failure("Nothing was done.", INTERRUPTED) from None
    if not agrees:
        raise Failure("Nothing was done.")


def some(**values: object) -> dict[str, object]:
    """What was given of a change; "" is a value. Raises Failure where nothing was."""
    given = {name: value for name, value in values.items() if value is not None}
    if not given:
        raise usage("Say what to change; --help lists it.")
    return given


def secret(from_stdin: bool, variable: str, question: str, *, twice: bool = False) -> str:
    """What must not stand on a command line: from stdin, from the environment, or asked for.

    Raises Failure.
    """
    if from_stdin:
        return sys.stdin.readline().strip()
    if kept := os.environ.get(variable, "").strip():
        return kept
    return asked(question, f"it in {variable}", hidden=True, twice=twice)


def asked(
    question: str,
    instead: str,
    *,
    default: str | None = None,
    hidden: bool = False,
    twice: bool = False,
) -> str:
    """What a person types. Raises Failure where nobody is there, naming what to give `instead`."""
    if not sys.stdin.isatty():
        raise usage(f"Nobody is here to answer questions; give {instead}.")
    try:
        return str(
            typer.prompt(
                question,
                default=default,
                show_default=False,
                hide_input=hidden,
                confirmation_prompt=twice,
                err=True,
            )
        ).strip()
    except typer.Abort:
        typer.echo(err=True)
        raise Failure("Nothing was done.", INTERRUPTED) from None
