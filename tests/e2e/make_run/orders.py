"""What a user types to have an app installed, and to let that go wrong."""

import json
import secrets
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from tests.client.command_line import CommandLine
from tests.e2e.make_run.running import Run, environment
from x400 import cli

APP_BYTES = 100_000


def command_line(run: Run, folder: Path) -> CommandLine:
    """`mymote` of the card's account."""
    return CommandLine(
        folder,
        {
            "MYMOTE_URL": run.demo.api_url,
            "MYMOTE_USER_ID": run.demo.user_id,
            "MYMOTE_API_KEY": run.demo.api_key,
        },
    )


async def upload(mymote: CommandLine, app: str, version: str) -> None:
    (mymote.folder / "pump.bin").write_bytes(secrets.token_bytes(APP_BYTES))
    await mymote.well("app", "upload", app, "pump.bin", "--version", version)


async def send(mymote: CommandLine, app: str, version: str, status: int = 0) -> Any:
    """The job at its end, as `app send --watch` shows it, which ends with `status`."""
    ran = await mymote("app", "send", "Demo", app, version, "--watch", "--yes", "--json")
    assert ran.status == status, ran
    return json.loads(ran.output.splitlines()[-1])


def x400(run: Run, *arguments: str) -> str:
    """What a command of the gateway prints."""
    ran = CliRunner().invoke(cli.app, arguments, env=environment(run.settings))
    assert ran.exit_code == 0, ran.output
    return ran.output
