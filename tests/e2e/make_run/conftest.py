"""One running `make run` for all who do not stop it."""

from collections.abc import AsyncIterator

import pytest

from tests.client.command_line import CommandLine
from tests.e2e.make_run.orders import command_line
from tests.e2e.make_run.running import Run, press_ctrl_c, start
from tests.running_stack import settings_on_free_ports

# What a person waits for minutes, a test waits for a moment. How long a gateway may be silent stays
# as it is: on a machine that stands still, a short wait ends orders that would go well.
QUICK = {
    "MYMOTE_OTA_LOOK_EVERY": "PT0.1S",
    "MYMOTE_OTA_RETRY_FIRST": "PT0.1S",
    "MYMOTE_OTA_ATTEMPTS": "2",
    "MYMOTE_X400_INSTALL_TIME": "0.1",
    "MYMOTE_X400_POWER_LOSS": "0.2",
}


@pytest.fixture(scope="package")
async def run(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Run]:
    run = await start(settings_on_free_ports(tmp_path_factory.mktemp("run")), extra=QUICK)
    try:
        yield run
    finally:
        if run.child.returncode is None:
            await press_ctrl_c(run)


@pytest.fixture(scope="package")
def mymote(run: Run, tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return command_line(run, tmp_path_factory.mktemp("shell"))
