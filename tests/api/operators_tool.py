"""The operator's tool: each command in a process of its own, as its user runs it.

Importing the SDKs takes more than a second. One process does it once and forks for each
command.
"""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack.local import LocalStack
from tests.forked import processes


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def value(self) -> Any:
        return json.loads(self.output)


async def run(
    stack: LocalStack | None,
    *arguments: str,
    given: str = "",
    extra: Mapping[str, str] | None = None,
) -> Ran:
    """Without a stack: without any setting but `extra`. `given` is all that its input has."""
    return await asyncio.to_thread(_run, stack, arguments, given, extra or {})


def _run(
    stack: LocalStack | None, arguments: Sequence[str], given: str, extra: Mapping[str, str]
) -> Ran:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MYMOTE_")}
    environment |= stack.service_environment if stack else {}
    environment |= extra
    with tempfile.TemporaryDirectory() as name:
        answers, output, errors = (Path(name, each) for each in ("input", "output", "errors"))
        answers.write_text(given)
        child = processes.Process(
            target=_command, args=(arguments, environment, answers, output, errors), daemon=True
        )
        child.start()
        child.join()
        assert child.exitcode is not None
        return Ran(child.exitcode, output.read_text(), errors.read_text())


def _command(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    answers: Path,
    output: Path,
    errors: Path,
) -> None:
    from services.api.operator.cli import app  # noqa: PLC0415 - in the forked process, preloaded

    for number, path in ((1, output), (2, errors)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.stdin = answers.open()
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["mymote-operator", *arguments]
    app()
