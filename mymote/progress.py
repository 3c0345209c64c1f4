"""How far a long work is, on stderr, where a person watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer


@contextmanager
def bar(length: int, label: str) -> Iterator[Callable[[int], None]]:
    """Yields what to call with the units done since the last call."""
    if not sys.stderr.isatty() or not length:
        yield lambda _units: None
        return
    with typer.progressbar(length=length, label=label, file=sys.stderr) as shown:
        yield shown.update
