"""What a command prints: a table or fields for people, one JSON value for programs."""

import json
from collections.abc import Mapping, Sequence

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

Row = Mapping[str, object]

WIDEST = 1000


def print_fields(fields: Row, *, as_json: bool, said: str = "") -> None:
    """One thing: each field on a line of its own, never wrapped, so that keys can be copied."""
    if as_json:
        typer.echo(json.dumps(fields))
        return
    if said:
        typer.echo(said)
    width = max(len(name) for name in fields)
    for name, value in fields.items():
        lines = _lines(value)
        typer.echo("\n".join([f"  {name:<{width}}  {lines[0]}", *(_under(width, lines[1:]))]))


def print_rows(rows: Sequence[Row], *, as_json: bool, empty: str) -> None:
    """Many things: a table, or `empty` with the next step where there are none."""
    if as_json:
        typer.echo(json.dumps(rows))
        return
    if not rows:
        typer.echo(empty)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in rows[0]:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*(Text(_one_line(value)) for value in row.values()))
    # As wide as the rows are, whatever the terminal: an id that is broken cannot be copied.
    Console(width=WIDEST).print(table)


def _lines(value: object) -> list[str]:
    """A value for people; what has parts, with a part a line."""
    if isinstance(value, Mapping):
        parts = [f"{_one_line(name)}: {_one_line(part)}" for name, part in value.items()]
    elif isinstance(value, list):
        parts = [_one_line(part) for part in value]
    else:
        parts = [_one_line(value)]
    return parts or [""]


def _one_line(value: object) -> str:
    if isinstance(value, Mapping | list):
        return ", ".join(_lines(value))
    return _escaped("" if value is None else str(value))


def _under(width: int, lines: Sequence[str]) -> list[str]:
    return [" " * (width + 4) + line for line in lines]


def _escaped(text: str) -> str:
    """What a gateway wrote must not move the terminal's cursor."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )
