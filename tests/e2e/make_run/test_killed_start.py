"""`make run` after a start that was killed; and, on it, a gateway that never answers: the short
waits that this takes would end other tests' orders on a machine that stands still."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.make_run.orders import command_line, send, upload, x400
from tests.e2e.make_run.running import Run, get, press_ctrl_c, start, until_free
from tests.running_stack import settings_on_free_ports

IMPATIENT = {
    "MYMOTE_OTA_LOOK_EVERY": "PT0.1S",
    "MYMOTE_OTA_ANSWER_WAIT": "PT0.2S",
    "MYMOTE_OTA_ATTEMPTS": "2",
}


@pytest.fixture(scope="module")
async def second(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    """The start after one that was killed before it made an account."""
    settings = settings_on_free_ports(tmp_path_factory.mktemp("killed"))
    killed = await start(settings, until="✓ local Azure")
    killed.child.kill()
    await killed.child.wait()
    assert not (settings.state_dir / "demo.json").exists()
    await until_free(settings)
    run = await start(settings, extra=IMPATIENT)
    try:
        yield run
    finally:
        if run.child.returncode is None:
            await press_ctrl_c(run)


async def test_a_first_start_that_was_killed_is_made_good_by_the_next(second: Run) -> None:
    assert (await get(second))[0]["status"] == "Connected"


async def test_a_gateway_that_never_answers(second: Run, tmp_path: Path) -> None:
    mymote = command_line(second, tmp_path)
    await mymote.well("app", "create", "Pump control")
    await upload(mymote, "Pump control", "1.6.0")
    x400(second, "fault", "never-answer")
    job = await send(mymote, "Pump control", "1.6.0", status=1)
    assert (job["state"], job["attempt"]) == ("timed_out", 2)
    assert "is connected but did not answer the order" in job["reason"]
