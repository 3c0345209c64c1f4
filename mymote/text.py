"""Values as people see them: on one line, and harmless for the terminal."""

import json
import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from datetime import datetime

import typer

_COLOURS = {
    "Connected": typer.colors.GREEN,
    "Disconnected": typer.colors.BRIGHT_BLACK,
    "alarm": typer.colors.RED,
    "warning": typer.colors.YELLOW,
    "failed": typer.colors.RED,
    "delivered": typer.colors.GREEN,
    "paired": typer.colors.GREEN,
    "succeeded": typer.colors.GREEN,
    "rejected": typer.colors.RED,
    "timed out": typer.colors.RED,
    "cancelled": typer.colors.YELLOW,
    "superseded": typer.colors.YELLOW,
}


def line(value: object) -> str:
    """A value for people, on one line; what others wrote cannot move the terminal's cursor."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(line(each) for each in value)
    if isinstance(value, Mapping):
        return escaped(json.dumps(value, ensure_ascii=False))
    return escaped(str(value))


def escaped(value: str) -> str:
    """Every character that does not print, as its escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)


def moment(value: object) -> str:
    """A time of the api's in this machine's time zone, to the second; "" for none."""
    if not isinstance(value, str) or not value:
        return ""
    try:
        return datetime.fromisoformat(value).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return line(value)


def bold(value: str) -> str:
    """In a terminal."""
    return typer.style(value, bold=True) if in_colour() else value


def coloured(value: str) -> str:
    """A state or level in its colour, in a terminal."""
    colour = _COLOURS.get(value.strip())
    return typer.style(value, fg=colour) if colour and in_colour() else value


def is_time(value: str) -> bool:
    """Whether it is a time of the api's."""
    if not (value[:2].isdigit() and value[10:11] == "T"):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False


def in_colour() -> bool:
    """Whether a person sees it in a terminal that may be coloured."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def cut(value: str, width: int) -> str:
    """So many columns of a terminal at most."""
    if cells(value) <= width:
        return value
    taken = "".join(_taken(value, width - 1))
    return f"{taken}…"


def _taken(value: str, width: int) -> Iterator[str]:
    for each in value:
        width -= cells(each)
        if width < 0:
            return
        yield each


def cells(value: str) -> int:
    """How many columns of a terminal the text takes."""
    if value.isascii():
        return len(value)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in value
    )
