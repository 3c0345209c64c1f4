"""How the tests share the machine."""

import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.secrets_in_logs import pytest_configure, pytest_sessionfinish, pytest_terminal_summary

__all__ = ["pytest_configure", "pytest_sessionfinish", "pytest_terminal_summary"]

# An example may take long on a busy machine; pytest-timeout stops what hangs.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")

# A script's shell has what it starts in the background ignore Ctrl-C, and every program that a test
# starts would inherit that: those which a test interrupts would go on.
signal.signal(signal.SIGINT, signal.default_int_handler)


# The folders that take longest, so that a worker does not begin one when the others are done.
FIRST = ("ingest/parking", "ingest", "ledger", "e2e")
TESTS = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    folder = item.path.parent.relative_to(TESTS).as_posix()
    return FIRST.index(folder) if folder in FIRST else len(FIRST)


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Keeps a folder's tests in one worker: they share the servers that its conftest starts."""

    def _split_scope(self, nodeid: str) -> str:
        return str(Path(nodeid.partition("::")[0]).parent)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder:
    return ByFolder(config, log)
