"""A local stack with an account that has something of everything."""

import pytest

from services.api.logic import pairing
from services.api.resources import Resources
from shared.schemas.documents import GroupDocument
from stack.local import LocalStack
from tests.api.customers import new_customer, new_gateway, pairing_request
from tests.api_fixtures import resources, stack, stores
from tests.contract.deployment import Deployment

__all__ = ["deployment", "resources", "stack", "stores"]


@pytest.fixture(scope="package")
async def deployment(stack: LocalStack, resources: Resources, stores: pairing.Stores) -> Deployment:
    customer = await new_customer(resources)
    group = GroupDocument(id="boilers", user_id=customer.user_id, name="Boilers")
    await stores.groups.create(group)
    places = [("Pump", "41.890210,12.492231", ""), ("Boiler", "", "boilers")]
    for name, location, group_id in places:
        gateway = await new_gateway(stores)
        await pairing.pair(stores, pairing_request(customer, gateway, name, location, group_id))
    return Deployment(stack.endpoints.api_url, customer.user_id, customer.api_key, write=True)
