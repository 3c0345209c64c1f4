"""`mymote` as its user runs it, in a terminal or a pipe.

Most commands run in this process, with streams, folder and environment of their own, since that is
quick. What needs a terminal or changes how the SDK logs has a process of its own, forked from one
that has imported all this already.
"""

import asyncio
import contextlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from mymote.cli import main
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.client import child
from tests.forked import processes
from tests.known_secrets import keep_named

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    status: int
    output: str
    errors: str

    @property
    def value(self) -> Any:
        return json.loads(self.output)


@dataclass(frozen=True)
class CommandLine:
    """Somebody's shell: their settings and configuration folder."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    async def __call__(
        self, *arguments: str, stdin: str = "", columns: int = 0, folder: Path | None = None
    ) -> Ran:
        """With `columns`, stdout and stderr are a terminal so wide, and come together."""
        # xdist tells its workers how wide its own terminal is.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("MYMOTE_") and name not in ("COLUMNS", "LINES")
        }
        environment |= {"MYMOTE_CONFIG_DIR": str(self.folder / "config"), **self.environment}
        folder = folder or self.folder
        if columns or "tail" in arguments:
            return await asyncio.to_thread(_forked, arguments, environment, stdin, columns, folder)
        return await asyncio.to_thread(_here, arguments, environment, stdin, folder)

    async def well(self, *arguments: str, stdin: str = "") -> Any:
        """What it prints as JSON, where it succeeds."""
        ran = await self(*arguments, "--json", stdin=stdin)
        assert ran.status == 0, (arguments, ran)
        keep_named(ran.value)
        return ran.value


def _here(
    arguments: tuple[str, ...], environment: Mapping[str, str], stdin: str, folder: Path
) -> Ran:
    source = io.TextIOWrapper(io.BytesIO(stdin.encode()), "utf-8")
    kept = io.BytesIO(), io.BytesIO()
    streams = [io.TextIOWrapper(each, "utf-8") for each in kept]
    with (
        contextlib.chdir(folder),
        patch.object(sys, "argv", ["mymote", *arguments]),
        patch.object(sys, "stdin", source),
        patch.object(sys, "stdout", streams[0]),
        patch.object(sys, "stderr", streams[1]),
        patch.dict(os.environ, environment, clear=True),
    ):
        try:
            status = main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    for stream in streams:
        stream.flush()
    output, errors = (each.getvalue().decode() for each in kept)
    return Ran(status, _COLOURS.sub("", output), errors)


def _forked(
    arguments: tuple[str, ...],
    environment: Mapping[str, str],
    stdin: str,
    columns: int,
    folder: Path,
) -> Ran:
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name, each) for each in ("input", "output", "errors")]
        paths[0].write_text(stdin)
        process = processes.Process(
            target=child.run, args=(arguments, environment, paths, columns, folder), daemon=True
        )
        process.start()
        process.join()
        assert process.exitcode is not None
        output, errors = (path.read_text() if path.exists() else "" for path in paths[1:])
        return Ran(process.exitcode, _COLOURS.sub("", output), errors)


def of(stack: LocalStack, customer: Customer, folder: Path) -> CommandLine:
    """Who uses the environment."""
    return CommandLine(
        folder,
        {
            "MYMOTE_URL": stack.endpoints.api_url,
            "MYMOTE_USER_ID": customer.user_id,
            "MYMOTE_API_KEY": customer.api_key,
        },
    )
