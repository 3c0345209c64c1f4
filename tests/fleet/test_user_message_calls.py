"""The calls on user messages: sending, what became of them, calling them back."""

import uuid
from typing import Any

import httpx
import pytest

from services.api.logic import intervals, pairing
from services.api.logic.manufacturing import Manufactured
from stack.local import LocalStack
from tests.api.customers import Customer, new_gateway, pairing_request
from tests.api.mqtt_gateway import connected
from tests.api.test_api_refusals import JSON, assert_error
from tests.fleet.outboxes import eventually
from tests.known_secrets import keep

UNKNOWN = "X400_" + "0" * 40
SOME_ID = "5b0a7c9e-3f1d-4c8a-9d53-0a4b7e6c2f18"
FIELDS = [
    "id",
    "device_id",
    "body",
    "state",
    "state_at",
    "reason",
    "created_at",
    "expires_at",
    "attempts",
    "sent_at",
]


@pytest.fixture
async def gateway(stores: pairing.Stores, alice: Customer) -> Manufactured:
    """A gateway of alice's that is offline."""
    made = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, made))
    return made


async def send(
    client: httpx.AsyncClient, device: str, body: str, **params: Any
) -> tuple[str, dict[str, Any]]:
    """The message's URL and state."""
    reply = await client.post(f"{device}/sendjson", content=body, headers=JSON, params=params)
    assert (reply.status_code, reply.json()) == (200, {"result": "queued"})
    return reply.headers["location"], (await client.get(reply.headers["location"])).json()


async def until(client: httpx.AsyncClient, url: str, state: str) -> dict[str, Any]:
    async def reached() -> dict[str, Any] | None:
        message: dict[str, Any] = (await client.get(url)).json()
        return message if message["state"] == state else None

    return await eventually(reached)


async def test_a_messages_way(
    client: httpx.AsyncClient, stack: LocalStack, alice: Customer, gateway: Manufactured
) -> None:
    device = f"{alice.base}/devices/{gateway.device_id}"
    url, message = await send(client, device, ' {"a":  1.0}', expires_in=60)
    assert url == f"{device}/messages/{message['id']}"
    assert list(message) == FIELDS
    assert (message["body"], message["device_id"]) == (' {"a":  1.0}', gateway.device_id)
    assert (await until(client, url, "sent"))["attempts"] == 1
    port = stack.settings.mqtt_port
    async with connected(gateway.device_connection_string, stack.settings.bind, port) as online:
        properties, body = await online.message()
        assert (properties["$.mid"], body) == (message["id"], b' {"a":  1.0}')
        delivered = await until(client, url, "delivered")  # before it may hang up unacknowledged
    assert delivered["created_at"] < delivered["sent_at"] < delivered["state_at"]
    assert_error(await client.delete(url), 409)


async def test_the_list_of_a_device(
    client: httpx.AsyncClient, alice: Customer, gateway: Manufactured
) -> None:
    device = f"{alice.base}/devices/{gateway.device_id}"
    urls = [(await send(client, device, str(number)))[0] for number in range(5)]
    assert (await client.delete(urls[0])).json()["state"] == "cancelled"
    await until(client, urls[4], "sent")

    async def bodies(**params: Any) -> list[str]:
        found: list[str] = []
        cursor = ""
        while True:
            reply = await client.get(
                f"{device}/messages", params={"limit": 2, "cursor": cursor, **params}
            )
            assert reply.status_code == 200, reply.text
            found += [each["body"] for each in reply.json()["items"]]
            cursor = reply.json()["next"]
            if not cursor:
                return found

    assert await bodies() == ["4", "3", "2", "1", "0"]
    assert await bodies(state="open") == ["4", "3", "2", "1"]
    assert await bodies(state="cancelled") == ["0"]
    assert await bodies(state="delivered") == []
    first = (await client.get(f"{device}/messages", params={"limit": 2})).json()
    other = {"limit": 2, "cursor": first["next"], "state": "open"}
    assert_error(await client.get(f"{device}/messages", params=other), 400)


async def test_an_order_sent_twice_is_one_message(
    client: httpx.AsyncClient, alice: Customer, gateway: Manufactured
) -> None:
    device = f"{alice.base}/devices/{gateway.device_id}"
    headers = JSON | {"Idempotency-Key": str(uuid.uuid4())}
    one, two = [
        await client.post(f"{device}/sendjson", content=b"1", headers=headers) for _ in range(2)
    ]
    assert one.headers["location"] == two.headers["location"]
    assert len((await client.get(f"{device}/messages")).json()["items"]) == 1


CALLS = [
    ("POST", "/sendjson"),
    ("GET", "/messages"),
    ("GET", f"/messages/{SOME_ID}"),
    ("DELETE", f"/messages/{SOME_ID}"),
]


@pytest.mark.parametrize(("method", "call"), CALLS)
async def test_who_may_not(
    client: httpx.AsyncClient,
    alice: Customer,
    bob: Customer,
    boiler: Manufactured,
    method: str,
    call: str,
) -> None:
    async def ask(base: str, device_id: str, headers: dict[str, str]) -> httpx.Response:
        content = b"1" if method == "POST" else None
        return await client.request(
            method, f"{base}/devices/{device_id}{call}", content=content, headers=JSON | headers
        )

    wrong = f"/api/user/{alice.user_id}/{bob.api_key}"
    nobody = f"/api/user/nobody/{bob.api_key}"
    replies = [await ask(base, UNKNOWN, {}) for base in (wrong, nobody)]
    assert_error(replies[0], 401)
    assert replies[0].content == replies[1].content

    replies = [await ask(alice.base, each, {}) for each in (boiler.device_id, UNKNOWN)]
    assert_error(replies[0], 404)
    assert replies[0].content == replies[1].content

    made = await client.post(f"{bob.base}/account/keys", json={"name": "r", "scopes": ["read"]})
    key = made.json()["api_key"]
    keep(key)
    reading = await ask(f"/api/user/{bob.user_id}/-", boiler.device_id, {"X-API-Key": key})
    allowed = 404 if call.endswith(SOME_ID) else 200
    assert reading.status_code == (allowed if method == "GET" else 403)


async def test_malformed(client: httpx.AsyncClient, alice: Customer, gateway: Manufactured) -> None:
    device = f"{alice.base}/devices/{gateway.device_id}"
    for query in ("expires_in=0", "expires_in=604801", "expires_in=x", "expires_in=", "expires=1"):
        assert_error(
            await client.post(f"{device}/sendjson?{query}", content=b"1", headers=JSON), 400
        )
    for message_id in ("outbox", SOME_ID.upper(), "a" * 300, "%00", SOME_ID + "0"):
        assert_error(await client.get(f"{device}/messages/{message_id}"), 400)
        assert_error(await client.delete(f"{device}/messages/{message_id}"), 400)
    for query in ("state=gone", "limit=0", "limit=201", "cursor=x", "page=2"):
        assert_error(await client.get(f"{device}/messages?{query}"), 400)
    assert (await client.get(f"{device}/messages")).json() == {"items": [], "next": ""}


async def test_a_later_owner_sees_nothing_of_a_former_ones_messages(
    client: httpx.AsyncClient,
    stores: pairing.Stores,
    alice: Customer,
    bob: Customer,
    gateway: Manufactured,
) -> None:
    path = f"/devices/{gateway.device_id}"
    url, message = await send(client, f"{alice.base}{path}", '"of alice"')
    await pairing.unpair(stores, alice.user_id, gateway.device_id)
    held = await stores.user_messages.outbox(gateway.device_id)
    assert held is not None
    assert held.outbox.user_id == ""
    await pairing.pair(stores, pairing_request(bob, gateway))
    assert (await client.get(f"{bob.base}{path}/messages")).json()["items"] == []
    assert_error(await client.get(f"{bob.base}{path}/messages/{message['id']}"), 404)
    assert_error(await client.delete(f"{bob.base}{path}/messages/{message['id']}"), 404)
    assert_error(await client.get(url), 404)


async def test_a_pairing_takes_the_outbox_and_has_iot_hub_drop_what_it_has(
    client: httpx.AsyncClient,
    stack: LocalStack,
    stores: pairing.Stores,
    alice: Customer,
    bob: Customer,
    gateway: Manufactured,
) -> None:
    path = f"/devices/{gateway.device_id}"
    url, _ = await send(client, f"{alice.base}{path}", '"of alice"')
    await until(client, url, "sent")
    found = await stores.gateways.get(gateway.device_id)
    assert found is not None
    # An unpairing is killed after its first write.
    assert await stores.gateways.replace(intervals.ended(found[0], stores.clock()), found[1])
    await pairing.pair(stores, pairing_request(bob, gateway))
    held = await stores.user_messages.outbox(gateway.device_id)
    assert held is not None
    assert held.outbox.user_id == bob.user_id
    port = stack.settings.mqtt_port
    async with connected(gateway.device_connection_string, stack.settings.bind, port) as online:
        await send(client, f"{bob.base}{path}", '"of bob"')
        assert (await online.message())[1] == b'"of bob"'
