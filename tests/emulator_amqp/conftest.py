"""Fixtures of this folder's tests."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.emulator_amqp.amqp_namespace import Namespace, close_namespace, open_namespace


@pytest.fixture
async def namespace(tmp_path: Path) -> AsyncIterator[Namespace]:
    opened = await open_namespace(tmp_path / "store.db")
    yield opened
    await close_namespace(opened)
