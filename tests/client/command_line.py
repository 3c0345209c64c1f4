"""`mymote` as its user runs it: each command in a process of its own, in a terminal or a pipe.

Importing takes a while. One process does it once and forks for each command.
"""

import asyncio
import json
import multiprocessing
import os
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stack.local import LocalStack
from tests.api.customers import Customer
from tests.client import child
from tests.known_secrets import keep_named

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(
    ["mymote.cli", "mymote.api", "mymote.queue", "tests.client.child"]
)

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
        return await asyncio.to_thread(self._run, arguments, stdin, columns, folder or self.folder)

    async def well(self, *arguments: str, stdin: str = "") -> Any:
        """What it prints as JSON, where it succeeds."""
        ran = await self(*arguments, "--json", stdin=stdin)
        assert ran.status == 0, (arguments, ran)
        keep_named(ran.value)
        return ran.value

    def _run(self, arguments: tuple[str, ...], stdin: str, columns: int, folder: Path) -> Ran:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MYMOTE_")}
        environment |= {"MYMOTE_CONFIG_DIR": str(self.folder / "config"), **self.environment}
        with tempfile.TemporaryDirectory() as name:
            paths = [Path(name, each) for each in ("input", "output", "errors")]
            paths[0].write_text(stdin)
            process = _processes.Process(
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
