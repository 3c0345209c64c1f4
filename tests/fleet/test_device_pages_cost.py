"""What a page of an account's devices costs does not depend on other accounts' devices.

`python -m bench --only devices` measures the same with 100,000 devices, and the time.
"""

from collections.abc import AsyncIterator

import httpx
import pytest
from azure.cosmos.aio import ContainerProxy

from services.api.resources import Resources
from shared.database import DEVICES
from tests.api.customers import Customer, new_customer
from tests.load.devices import charge_of, last_charge, load_devices, pages_of

DEVICES_OF_IVY = 400
DEVICES_OF_OTHERS = 2_000


@pytest.fixture(scope="module")
async def ivy(resources: Resources) -> Customer:
    customer = await new_customer(resources)
    await load_devices(resources, customer.user_id, DEVICES_OF_IVY)
    return customer


@pytest.fixture
async def devices(resources: Resources) -> AsyncIterator[ContainerProxy]:
    """The container, without the others' devices afterwards: other tests read it whole."""
    container = resources.azure.database.get_container_client(DEVICES.name)
    yield container
    found = container.query_items("SELECT c.id FROM c", partition_key="others")
    for batch in [[each async for each in page] async for page in found.by_page()]:
        for start in range(0, len(batch), 100):
            operations = [("delete", (each["id"],)) for each in batch[start : start + 100]]
            await container.execute_item_batch(operations, "others")


async def test_a_page_costs_the_same_alone_and_among_many(
    resources: Resources, client: httpx.AsyncClient, ivy: Customer, devices: ContainerProxy
) -> None:
    pages = await pages_of(resources, ivy.user_id, DEVICES_OF_IVY)
    alone = {each.name: await charge_of(resources, ivy.user_id, each) for each in pages}
    await load_devices(resources, "others", DEVICES_OF_OTHERS)
    among = {each.name: await charge_of(resources, ivy.user_id, each) for each in pages}
    assert among == pytest.approx(alone, rel=0.01)
    # A page reads what it holds, and a rare word at most the account.
    whole = devices.query_items(
        "SELECT * FROM c", partition_key=ivy.user_id, max_item_count=DEVICES_OF_IVY + 1
    )
    assert len([each async for each in whole]) == DEVICES_OF_IVY
    most = last_charge(devices)
    assert among["first"] < most / 2
    assert among["middle"] < most / 2
    assert among["rare"] < most * 1.5
    reply = await client.get(f"{ivy.base}/devices?search=pump%20000200&limit=5")
    assert [each["device"]["name"] for each in reply.json()["items"]] == ["Pump 000200 North"]
