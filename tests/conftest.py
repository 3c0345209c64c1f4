"""One local stack for all tests that need the whole platform."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from stack.demo import operator
from stack.local import LocalStack
from stack.settings import StackSettings
from tests.free_ports import free_ports


def settings_on_free_ports(state_dir: Path) -> StackSettings:
    """Settings of a stack that collides with no other."""
    names = [name for name in StackSettings.model_fields if name.endswith("_port")]
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    return StackSettings.model_validate({"state_dir": state_dir, **ports})


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Keeps a folder's tests in one worker: they share the servers that its conftest starts."""

    def _split_scope(self, nodeid: str) -> str:
        return str(Path(nodeid.partition("::")[0]).parent)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder:
    return ByFolder(config, log)


@pytest.fixture(scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """The local Azure, api and ingest, without any account."""
    stack = LocalStack.prepare(settings_on_free_ports(tmp_path_factory.mktemp("stack")))
    try:
        await stack.start_azure()
        await operator(stack.service_environment, "provision")
        for name in ("api", "ingest"):
            await stack.start_service(name)
        for name in ("api", "ingest"):
            await stack.wait_ready(name)
        yield stack
    finally:
        await stack.stop()
