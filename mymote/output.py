"""What a command prints: tables and fields for people, JSON for programs.

Ids are never cut or wrapped, so that they can be copied.
"""

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from textwrap import fill
from typing import Any

import typer

from mymote import text

Entity = Mapping[str, Any]

SAMPLE = 500  # rows that decide how wide a table's columns are
GAP = "  "


@dataclass(frozen=True)
class Column:
    """`value`: an entity's field, or what makes a text of an entity."""

    title: str
    value: str | Callable[[Entity], object]
    keep: bool = False  # shown however narrow the terminal is
    cut: int = 0  # it may be cut down to so many characters; 0 is never
    right: bool = False
    below: bool = False  # where not all has room, on a line of its own below the row

    def of(self, entity: Entity) -> str:
        """The cell."""
        value = entity.get(self.value) if isinstance(self.value, str) else self.value(entity)
        return text.line(value)

    def least(self, width: int) -> int:
        """How narrow it may become."""
        return min(width, max(self.cut, text.cells(self.title))) if self.cut else width


def json_value(value: object) -> None:
    """One JSON value."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def json_line(value: object) -> None:
    """One JSON value on a line of its own, at once."""
    print(json.dumps(value, ensure_ascii=False, separators=(",", ":")), flush=True)


def json_list(entities: Iterable[object]) -> None:
    """A JSON list with an entity a line, printed as they come."""
    first = True
    for entity in entities:
        print("[\n" if first else ",\n", json.dumps(entity, ensure_ascii=False), sep="", end="")
        first = False
    print("[]" if first else "\n]")


def fields(entity: Entity) -> None:
    """One thing: a field a line, never cut."""
    width = max(map(len, entity), default=0)
    for name, value in entity.items():
        lines = _lines(value)
        print(f"{text.bold(f'{name:<{width}}')}{GAP}{lines[0]}".rstrip())
        for line in lines[1:]:
            print(" " * width + GAP + line)


def listed(
    entities: Iterable[Entity],
    columns: Sequence[Column],
    empty: str,
    limit: int | None = None,
    *,
    as_json: bool,
) -> None:
    """A list, as JSON or as a table; says so where `limit` may have cut it off."""
    if as_json:
        json_list(entities)
        return
    count = table(entities, columns, empty)
    if limit is not None and count >= limit:
        note(f"These are {count}; there may be more. --all or --limit N shows them.")


def shown(entity: Entity, *, as_json: bool, said: str = "") -> None:
    """One thing, as JSON or as fields; `said` before it, for people."""
    if as_json:
        json_value(entity)
        return
    if said:
        note(said)
    fields(times(entity))


def done(reply: object, said: str, *, as_json: bool) -> None:
    """What an order came to: the reply for programs, a sentence for people."""
    if as_json:
        json_value(reply)
    else:
        print(said)


def table(entities: Iterable[Entity], columns: Sequence[Column], empty: str) -> int:
    """Many things: a row each, or `empty` on stderr. Returns how many."""
    rows = ([column.of(entity) for column in columns] for entity in entities)
    sample = list(islice(rows, SAMPLE))
    if not sample:
        note(empty)
        return 0
    widths = _fitted(columns, sample)
    shown = [index for index, width in enumerate(widths) if width]
    below = [index for index, column in enumerate(columns) if column.below and not widths[index]]
    header = _row([column.title for column in columns], columns, widths, shown)
    print(text.bold(header))
    count = 0
    for row in chain(sample, rows):
        print(_row(row, columns, widths, shown, colour=True))
        for index in below:
            if row[index]:
                print(_wrapped(row[index]))
        count += 1
    hidden = [
        column.title
        for index, column in enumerate(columns)
        if not widths[index] and index not in below and any(row[index] for row in sample)
    ]
    if hidden:
        note(f"No room for {', '.join(hidden)}: a wider window or --json shows more.")
    return count


def note(sentence: str) -> None:
    """For people, beside the output."""
    typer.echo(sentence, err=True)


def time_of(name: str) -> Callable[[Entity], str]:
    """For a column: a field that is a time; in a terminal without the year, if it is this one."""

    def cell(entity: Entity) -> str:
        value = text.moment(entity.get(name))
        here = sys.stdout.isatty() and value.startswith(f"{datetime.now().astimezone():%Y}-")
        return value[5:] if here else value

    return cell


def times(entity: Entity) -> dict[str, Any]:
    """The entity with its times in this machine's time zone."""
    return {
        name: text.moment(value) if isinstance(value, str) and text.is_time(value) else value
        for name, value in entity.items()
    }


def _lines(value: object) -> list[str]:
    if isinstance(value, Mapping):
        return [
            f"{text.escaped(str(name))}: {text.line(part)}" for name, part in value.items()
        ] or [""]
    if isinstance(value, list):
        return [text.line(part) for part in value] or [""]
    return [text.line(value)]


def _fitted(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[int]:
    """Each column's width; 0 for one that has no room. In a pipe, all are as wide as they are."""
    widths = [
        max(text.cells(column.title), *(text.cells(row[index]) for row in rows))
        for index, column in enumerate(columns)
    ]
    if not sys.stdout.isatty():
        return widths
    for index, column in enumerate(columns):
        if not column.keep and not any(row[index] for row in rows):
            widths[index] = 0  # nothing is in it
    room = shutil.get_terminal_size().columns
    if _total(widths) > room:
        widths = [
            0 if column.below else width for column, width in zip(columns, widths, strict=True)
        ]
    least = [column.least(width) for column, width in zip(columns, widths, strict=True)]
    for index in reversed(range(len(columns))):  # the last column matters least
        if _total(least) <= room:
            break
        if not columns[index].keep:
            least[index] = widths[index] = 0
    while _total(widths) > room:
        able = [pair for pair in enumerate(widths) if pair[1] > least[pair[0]]]
        if not able:
            break
        widest, _ = max(able, key=lambda pair: pair[1] - least[pair[0]])
        widths[widest] -= 1
    return widths


def _total(widths: Sequence[int]) -> int:
    shown = [width for width in widths if width]
    return sum(shown) + len(GAP) * (len(shown) - 1)


def _wrapped(value: str) -> str:
    """Between words, as the terminal would not."""
    return fill(
        value,
        shutil.get_terminal_size().columns,
        initial_indent=GAP,
        subsequent_indent=GAP,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _row(
    row: Sequence[str],
    columns: Sequence[Column],
    widths: Sequence[int],
    shown: Sequence[int],
    *,
    colour: bool = False,
) -> str:
    return GAP.join(
        _cell(row[index], columns[index], widths[index], colour) for index in shown
    ).rstrip()


def _cell(value: str, column: Column, width: int, colour: bool) -> str:
    cut = text.cut(value, width) if column.cut else value
    padding = " " * max(0, width - text.cells(cut))
    if colour:
        cut = text.coloured(cut)
    return padding + cut if column.right else cut + padding
