"""How the tests share the machine."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# An example may take long on a busy machine; pytest-timeout stops what hangs.
settings.register_profile("shared-machine", deadline=None)
settings.load_profile("shared-machine")


class ByFolder(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Keeps a folder's tests in one worker: they share the servers that its conftest starts."""

    def _split_scope(self, nodeid: str) -> str:
        return str(Path(nodeid.partition("::")[0]).parent)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFolder:
    return ByFolder(config, log)
