"""The whole stack, and the means to make accounts and gateways in it."""

from collections.abc import AsyncIterator

import pytest

from services.api.resources import open_resources
from stack.local import LocalStack
from tests.ingest.local_platform import Platform, api_settings


@pytest.fixture(scope="session")
async def platform(stack: LocalStack) -> AsyncIterator[Platform]:
    async with open_resources(api_settings(stack)) as resources:
        yield Platform(stack, resources)
