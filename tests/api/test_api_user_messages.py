"""sendjson, from the REST call to the gateway."""

import asyncio
from collections import Counter

import httpx
import pytest

from services.api.logic import pairing
from stack.local import LocalStack
from tests.api.customers import Customer, new_gateway, pairing_request
from tests.api.mqtt_gateway import connected
from tests.api.test_api_refusals import JSON, assert_error
from tests.fleet.outboxes import eventually

BODIES = [
    b'"a bare string"',
    b"null",
    b" [1,  2.50, 1e3] ",
    b'{"a": 1, "a": 2}',
    '{"grüße": "\U0001f6f0"}'.encode(),
    b'"' + b"x" * 4094 + b'"',
]


async def test_a_message_reaches_the_gateway_byte_for_byte(
    client: httpx.AsyncClient, stack: LocalStack, stores: pairing.Stores, alice: Customer
) -> None:
    own = await new_gateway(stores)  # for the shared one, other tests' messages may wait
    await pairing.pair(stores, pairing_request(alice, own))
    url = f"{alice.base}/devices/{own.device_id}/sendjson"
    port = stack.settings.mqtt_port
    async with connected(own.device_connection_string, stack.settings.bind, port) as gateway:
        for body in BODIES:
            reply = await client.post(
                url, content=body, headers={"Content-Type": "application/json; charset=utf-8"}
            )
            assert (reply.status_code, reply.json()) == (200, {"result": "queued"})
        arrived = [await gateway.message() for _ in BODIES]
    assert [body for _, body in arrived] == BODIES
    assert len({properties["$.mid"] for properties, _ in arrived}) == len(BODIES)
    assert {properties["$.ct"] for properties, _ in arrived} == {"application/json"}


async def test_fifty_messages_wait_in_the_hub_and_the_rest_in_the_outbox(
    client: httpx.AsyncClient, stack: LocalStack, stores: pairing.Stores, alice: Customer
) -> None:
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, gateway))
    device = f"{alice.base}/devices/{gateway.device_id}"
    replies = await asyncio.gather(
        *(client.post(f"{device}/sendjson", content=b"1", headers=JSON) for _ in range(52))
    )
    assert {reply.status_code for reply in replies} == {200}

    async def are(**states: int) -> bool:
        page = (await client.get(f"{device}/messages", params={"limit": 200})).json()
        return Counter(each["state"] for each in page["items"]) == states

    await eventually(lambda: are(sent=50, waiting=2))
    port = stack.settings.mqtt_port
    async with connected(gateway.device_connection_string, stack.settings.bind, port) as online:
        arrived = [await online.message() for _ in range(52)]
        assert len({properties["$.mid"] for properties, _ in arrived}) == 52
        await eventually(lambda: are(delivered=52))


async def test_a_gateway_that_the_hub_lost(
    client: httpx.AsyncClient, stores: pairing.Stores, alice: Customer
) -> None:
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, gateway))
    await stores.hub.delete_device(gateway.device_id)
    url = f"{alice.base}/devices/{gateway.device_id}/sendjson"
    sent = await client.post(url, content=b"1", headers=JSON)
    assert sent.status_code == 200

    async def rejected() -> str | None:
        message = (await client.get(sent.headers["location"])).json()
        return message["reason"] if message["state"] == "rejected" else None

    assert "hub" in (await eventually(rejected)).lower()
    await pairing.unpair(stores, alice.user_id, gateway.device_id)
    assert await stores.devices.get(alice.user_id, gateway.device_id) is None


async def test_a_former_owners_messages_never_reach_the_next_owners_app(
    client: httpx.AsyncClient,
    stack: LocalStack,
    stores: pairing.Stores,
    alice: Customer,
    bob: Customer,
) -> None:
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, gateway))
    path = f"/devices/{gateway.device_id}/sendjson"
    sent = await client.post(f"{alice.base}{path}", content=b'"from alice"', headers=JSON)
    assert sent.status_code == 200
    await pairing.unpair(stores, alice.user_id, gateway.device_id)
    await pairing.pair(stores, pairing_request(bob, gateway))
    assert_error(await client.post(f"{alice.base}{path}", content=b"1", headers=JSON), 404)
    sent = await client.post(f"{bob.base}{path}", content=b'"from bob"', headers=JSON)
    assert sent.status_code == 200
    port = stack.settings.mqtt_port
    async with connected(gateway.device_connection_string, stack.settings.bind, port) as online:
        assert (await online.message())[1] == b'"from bob"'


@pytest.mark.parametrize("stale", [True, False])
async def test_what_an_interrupted_unpairing_left_orders_nothing(
    client: httpx.AsyncClient, stores: pairing.Stores, alice: Customer, stale: bool
) -> None:
    gateway = await new_gateway(stores)
    paired = await pairing.pair(stores, pairing_request(alice, gateway))
    await pairing.unpair(stores, alice.user_id, gateway.device_id)
    if stale:
        await stores.devices.put(paired.device)
    url = f"{alice.base}/devices/{gateway.device_id}/sendjson"
    assert_error(await client.post(url, content=b"1", headers=JSON), 404)
