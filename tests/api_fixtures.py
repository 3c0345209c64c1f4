"""The platform's stack as the tests of its REST API see it: two accounts, a gateway for each.

A folder's conftest imports these fixtures; its tests share one stack.
"""

from collections.abc import AsyncIterator

import httpx
import pytest

from services.api.logic import pairing
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources, open_resources
from stack.local import LocalStack
from tests.api.customers import (
    Customer,
    new_customer,
    new_gateway,
    pairing_request,
    settings_of,
    stores_of,
)
from tests.known_secrets import watch
from tests.running_stack import running_stack


@pytest.fixture(scope="package")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """Without ingest, so that nobody else writes what a test has written."""
    async with running_stack(tmp_path_factory.mktemp("stack"), "api") as stack:
        yield stack


@pytest.fixture(scope="package")
async def resources(stack: LocalStack) -> AsyncIterator[Resources]:
    """The api's own stores and hub, opened by the test."""
    async with open_resources(settings_of(stack)) as opened:
        yield opened


@pytest.fixture(scope="package")
def stores(resources: Resources) -> pairing.Stores:
    return stores_of(resources)


@pytest.fixture(scope="package")
async def client(stack: LocalStack) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.endpoints.api_url, timeout=20) as opened:
        yield watch(opened)


@pytest.fixture(scope="package")
async def alice(resources: Resources) -> Customer:
    return await new_customer(resources)


@pytest.fixture(scope="package")
async def bob(resources: Resources) -> Customer:
    return await new_customer(resources)


@pytest.fixture(scope="package")
async def pump(stores: pairing.Stores, alice: Customer) -> Manufactured:
    """A gateway that is paired with alice."""
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, gateway, "Pump", "41.890210,12.492231"))
    return gateway


@pytest.fixture(scope="package")
async def boiler(stores: pairing.Stores, bob: Customer) -> Manufactured:
    """A gateway that is paired with bob."""
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(bob, gateway, "Boiler"))
    return gateway
