"""The tests of this folder share one stack: the local Azure, the api and the OTA service."""

import json
from collections.abc import AsyncIterator

import httpx
import pytest

from services.api.logic import pairing
from services.api.logic.manufacturing import Manufactured
from services.ota.resources import Resources as OtaResources
from services.ota.resources import open_resources as open_ota_resources
from services.ota.settings import OtaSettings
from stack.environment import Endpoints, ota_environment, service_environment, to_ota_environment
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.api_fixtures import alice, bob, boiler, client, pump, resources, stores
from tests.ota.order_calls import Orders, paired_gateway, stock
from tests.ota.order_gateway import OrderedGateway, connected
from tests.running_stack import UNLIMITED, running_stack

__all__ = ["alice", "bob", "boiler", "client", "pump", "resources", "stores"]

# Of the OTA service's process: what a gateway does is seen at once, and tried again at once. Its
# other periods are as in the cloud; a test of them has a worker of its own, whose clock it sets.
SHORT = {
    "MYMOTE_OTA_LOOK_EVERY": "PT0.2S",
    "MYMOTE_OTA_RETRY_FIRST": "PT0.2S",
    "MYMOTE_OTA_SWEEP_EVERY": "PT1H",  # tests sweep themselves
    "MYMOTE_OTA_REFUSALS_PER_MINUTE": "10000",  # so many are tried here
    "MYMOTE_WRONG_KEYS_PER_MINUTE": "10000",
    "MYMOTE_TRUSTED_PROXIES": "127.0.0.1",
}


def ota_settings(endpoints: Endpoints, **changes: object) -> OtaSettings:
    """The OTA service's settings for a stack, some of them changed."""
    environment = service_environment(endpoints) | ota_environment(endpoints) | SHORT
    values: dict[str, object] = {
        name.removeprefix("MYMOTE_").lower(): value for name, value in environment.items()
    }
    for name in ("servicebus_namespaces", "ota_signing_keys"):
        values[name] = json.loads(str(values[name]))
    known = {name: value for name, value in values.items() if name in OtaSettings.model_fields}
    return OtaSettings.model_validate(known | changes)


@pytest.fixture(scope="package")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalStack]:
    """Without ingest, so that nobody else writes what a test has written."""
    async with running_stack(tmp_path_factory.mktemp("stack")) as stack:
        await stack.start_service("ota", extra=SHORT)
        await stack.start_service("api", extra=UNLIMITED | to_ota_environment(stack.endpoints))
        for name in ("ota", "api"):
            await stack.wait_ready(name)
        yield stack


@pytest.fixture(scope="package")
async def ota(stack: LocalStack) -> AsyncIterator[OtaResources]:
    """The OTA service's own stores and hub, opened by the test; nothing goes on in them."""
    async with open_ota_resources(ota_settings(stack.endpoints)) as opened:
        yield opened


@pytest.fixture(scope="package")
async def ota_client(stack: LocalStack) -> AsyncIterator[httpx.AsyncClient]:
    """The OTA service, called as the api calls it."""
    headers = {"Authorization": f"Bearer {stack.endpoints.keys.ota}", "X-Correlation-Id": "test"}
    async with httpx.AsyncClient(
        base_url=stack.endpoints.ota_url, headers=headers, timeout=20
    ) as opened:
        yield opened


@pytest.fixture(scope="package")
async def gateways(stack: LocalStack) -> AsyncIterator[httpx.AsyncClient]:
    """The OTA service, called as gateways call it: without the api's key."""
    async with httpx.AsyncClient(base_url=stack.endpoints.ota_url, timeout=20) as opened:
        yield opened


@pytest.fixture(scope="package")
async def orders(ota: OtaResources, ota_client: httpx.AsyncClient, alice: Customer) -> Orders:
    """What alice can order, and the calls for it."""
    return Orders(ota, ota_client, await stock(ota_client, alice.user_id))


@pytest.fixture
async def device(stores: pairing.Stores, alice: Customer) -> Manufactured:
    """A new gateway of alice's."""
    return await paired_gateway(stores, alice)


@pytest.fixture
async def gateway(stack: LocalStack, device: Manufactured) -> AsyncIterator[OrderedGateway]:
    """`device`, connected to the hub."""
    port = stack.settings.mqtt_port
    async with connected(device.device_connection_string, stack.settings.bind, port) as gateway:
        yield gateway
