"""The whole stack, and the means to make accounts and gateways in it."""

from collections.abc import AsyncIterator

import pytest

from services.api.resources import open_resources
from tests.ingest.local_platform import Platform, api_settings
from tests.running_stack import running_stack


@pytest.fixture(scope="package")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    async with (
        running_stack(tmp_path_factory.mktemp("stack"), "api", "ingest") as stack,
        open_resources(api_settings(stack)) as resources,
    ):
        yield Platform(stack, resources)
