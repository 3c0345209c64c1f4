"""What a command prints: a table or fields for people, one JSON value for programs."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence

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


async def print_pages(pages: AsyncIterator[Sequence[Row]], *, as_json: bool, empty: str) -> None:
    """Very many things, each page as it comes; JSON is one list all the same."""
    printed = 0
    widths: dict[str, int] = {}
    async for rows in pages:
        for number, row in enumerate(rows, printed):
            if as_json:
                typer.echo(("[" if number == 0 else ",\n ") + json.dumps(row), nl=False)
        if rows and not as_json:
            _print_page(rows, widths)
        printed += len(rows)
    if as_json:
        typer.echo("]" if printed else "[]")
    elif not printed:
        typer.echo(empty)


def _print_page(rows: Sequence[Row], widths: dict[str, int]) -> None:
    """Under the page before: its header is the only one, and its columns are as wide at least."""
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=not widths)
    for name in rows[0]:
        longest = max(len(_one_line(row[name])) for row in rows)
        widths[name] = max(widths.get(name, len(name)), longest)
        table.add_column(name, no_wrap=True, min_width=widths[name])
    for row in rows:
        table.add_row(*(Text(_one_line(value)) for value in row.values()))
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
