"""The contract's suite runs against a deployment, and in `make test` against the local stack."""

import os
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.contract.deployment import URL, Deployment, named

if URL in os.environ:

    @pytest.fixture(scope="package")
    def deployment() -> Deployment:
        return named()

else:
    from tests.contract.local import deployment, resources, stack, stores

    __all__ = ["deployment", "resources", "stack", "stores"]


@pytest.fixture(scope="package")
async def http(deployment: Deployment) -> AsyncIterator[httpx.AsyncClient]:
    async with deployment.client() as client:
        yield client
