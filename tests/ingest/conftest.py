"""A local Azure with ingest as its only service."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.api.resources import open_resources
from services.ingest.logic.pipeline import Pipeline
from services.ingest.resources import open_resources as open_ingest
from services.ingest.settings import IngestSettings
from tests.ingest.local_platform import Platform, api_settings
from tests.running_stack import running_stack


@pytest.fixture(scope="session")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    async with (
        running_stack(tmp_path_factory.mktemp("ingest"), "ingest") as stack,
        open_resources(api_settings(stack)) as resources,
    ):
        yield Platform(stack, resources)


@pytest.fixture(scope="session")
async def pipeline(platform: Platform) -> AsyncIterator[Pipeline]:
    """Ingest's message path in the test's process, for streams that the test makes up."""
    async with open_ingest(platform.resources.settings, IngestSettings()) as resources:
        following = asyncio.create_task(resources.directory.run())
        yield resources.pipeline
        following.cancel()
