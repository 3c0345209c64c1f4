"""A local Azure with ingest as its only service."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.api.resources import open_resources
from services.ingest.logic.pipeline import Pipeline
from services.ingest.resources import Resources
from services.ingest.resources import open_resources as open_ingest
from services.ingest.settings import IngestSettings
from tests.ingest.local_platform import Platform, api_settings
from tests.running_stack import running_stack

# A queue of Azure's smallest size, 1,024 MB, holds half a megabyte: a test can fill it.
SMALL_QUEUES = {"MYMOTE_EMULATOR_SERVICEBUS_MEGABYTE": "512"}


@pytest.fixture(scope="package")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    async with (
        running_stack(tmp_path_factory.mktemp("ingest"), "ingest", azure=SMALL_QUEUES) as stack,
        open_resources(api_settings(stack)) as resources,
    ):
        yield Platform(stack, resources)


@pytest.fixture(scope="package")
async def ingest(platform: Platform) -> AsyncIterator[Resources]:
    """Ingest in the test's process, for streams that the test makes up."""
    settings = IngestSettings(quota_data=1000, order_seconds=0.5)
    async with open_ingest(platform.resources.settings, settings) as resources:
        following = asyncio.create_task(resources.stores.directory.run())
        yield resources
        following.cancel()


@pytest.fixture(scope="package")
async def pipeline(ingest: Resources) -> Pipeline:
    """What takes events to their effects."""
    return ingest.pipeline
