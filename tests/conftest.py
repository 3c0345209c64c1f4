"""How the tests share the machine."""

import contextlib
import gc
import importlib
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from tests.secrets_in_logs import pytest_configure, pytest_sessionfinish, pytest_terminal_summary

__all__ = ["pytest_configure", "pytest_sessionfinish", "pytest_terminal_summary"]

# An example may take long on a busy machine; pytest-timeout stops what hangs. Sixty examples, not a
# hundred: each run draws others, and the whole suite is to take six minutes. For longer:
# HYPOTHESIS_EXAMPLES=1000 make test ARGS=tests/ota
settings.register_profile(
    "shared-machine", deadline=None, max_examples=int(os.environ.get("HYPOTHESIS_EXAMPLES", "60"))
)
settings.load_profile("shared-machine")

# A script's shell has what it starts in the background ignore Ctrl-C, and every program that a test
# starts would inherit that: those which a test interrupts would go on.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Images for containers often set it. A hundred processes start here, and each would compile all of
# our modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# What takes longest first, so that at the end the workers have only short folders left.
FIRST = (
    *("ingest/parking", "ingest", "ledger/test_ledger_sabotage.py", "ledger", "e2e/make_run"),
    *("e2e", "api", "rest", "fleet", "e2e/make_run/test_killed_start.py", "client", "access"),
    *("x400", "ota"),
)
# Their tests start what they need by themselves.
ALONE = ("ledger/test_ledger_sabotage.py", "e2e/make_run/test_killed_start.py")
TESTS = Path(__file__).parent


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Half a million objects are imported and stay: to look for garbage among them while they
    become more takes each worker a quarter of the time, and later each look at all of them."""
    gc.disable()
    try:
        if "PYTEST_XDIST_WORKER" in os.environ:
            _import_in_turn(session.config.args)
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _import_in_turn(arguments: list[str]) -> None:
    """Each worker begins with modules of its own. In a fresh clone, all would compile all of them
    in the same order, which takes all workers together twice the CPU time."""
    roots = [Path(each.partition("::")[0]).absolute() for each in arguments]
    files = sorted(
        file
        for root in roots
        if root.is_relative_to(TESTS)
        for file in ([root] if root.is_file() else root.rglob("test_*.py"))
    )
    worker, workers = (os.environ[f"PYTEST_XDIST_WORKER{end}"] for end in ("", "_COUNT"))
    first = int(worker.removeprefix("gw")) * len(files) // int(workers)
    for file in files[first:] + files[:first]:
        module = file.relative_to(TESTS.parent).with_suffix("")
        with contextlib.suppress(Exception):  # the collection says what is wrong
            importlib.import_module(".".join(module.parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> int:
    share = _share(item.path.relative_to(TESTS))
    return FIRST.index(share) if share in FIRST else len(FIRST)


def _share(file: Path) -> str:
    """What one worker does: a file that stands alone, or the rest of its folder."""
    return file.as_posix() if file.as_posix() in ALONE else file.parent.as_posix()


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Keeps a folder's tests in one worker: they share the servers that its conftest starts."""

    def _split_scope(self, nodeid: str) -> str:
        return _share(Path(nodeid.partition("::")[0]).relative_to("tests"))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder:
    return ByFolder(config, log)
