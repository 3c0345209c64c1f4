"""Pairing's and groups' calls for those who may not make them."""

from typing import Any

import httpx
import pytest

from services.api.logic.authentication import hash_key
from services.api.logic.ids import new_api_key, new_device_key
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources
from shared.schemas.accounts import Scope
from tests.api.customers import Customer, new_customer
from tests.known_secrets import keep

UNKNOWN = "X400_" + "0" * 40
DEVICE = {"device_key": "0" * 64, "name": "Pump"}
CSV = {"content": "device_key,name", "headers": {"Content-Type": "text/csv"}}
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/devices", {"json": DEVICE}),
    ("POST", "/devices/import", CSV),
    ("PATCH", f"/devices/{UNKNOWN}", {"json": {"location": "1,2"}}),
    ("DELETE", f"/devices/{UNKNOWN}", {}),
    ("POST", "/groups", {"json": {"name": "G"}}),
    ("PATCH", "/groups/g", {"json": {"name": "G"}}),
    ("DELETE", "/groups/g", {}),
]
READS: list[tuple[str, str, dict[str, Any]]] = [("GET", "/groups/g", {})]


@pytest.fixture(scope="module")
async def reader(resources: Resources) -> Customer:
    """An account whose only key reads."""
    customer = await new_customer(resources)
    found = await resources.accounts.get_with_etag(customer.user_id)
    assert found is not None
    key = new_api_key()
    keep(key)
    stored = (
        found[0].api_keys[0].model_copy(update={"sha256": hash_key(key), "scopes": [Scope.READ]})
    )
    account = found[0].model_copy(update={"api_keys": [stored]})
    assert await resources.accounts.replace(account, found[1])
    return Customer(customer.user_id, key, customer.queue_connection_string)


@pytest.mark.parametrize(("method", "path", "request_"), [*CALLS, *READS])
async def test_strangers_learn_nothing(
    client: httpx.AsyncClient,
    alice: Customer,
    method: str,
    path: str,
    request_: dict[str, Any],
) -> None:
    wrong = new_api_key()
    replies = [
        await client.request(method, f"/api/user/{user_id}/{wrong}{path}", **request_)
        for user_id in (alice.user_id, "nobody")
    ]
    assert [each.status_code for each in replies] == [401, 401]
    assert replies[0].content == replies[1].content


@pytest.mark.parametrize(("method", "path", "request_"), CALLS)
async def test_a_key_that_reads_changes_nothing(
    client: httpx.AsyncClient, reader: Customer, method: str, path: str, request_: dict[str, Any]
) -> None:
    reply = await client.request(method, f"{reader.base}{path}", **request_)
    assert reply.status_code == 403
    assert "'write'" in reply.json()["error"]


async def test_a_key_that_writes_sees_no_device_key(
    client: httpx.AsyncClient, resources: Resources, pump: Manufactured, alice: Customer
) -> None:
    found = await resources.accounts.get_with_etag(alice.user_id)
    assert found is not None
    key = new_api_key()
    keep(key)
    first = found[0].api_keys[0]
    writer = first.model_copy(
        update={"id": "writer", "sha256": hash_key(key), "scopes": [Scope.WRITE]}
    )
    account = found[0].model_copy(update={"api_keys": [first, writer]})
    assert await resources.accounts.replace(account, found[1])
    url = f"/api/user/{alice.user_id}/{key}/devices/{pump.device_id}"
    edited = await client.patch(url, json={"location": "1,2"})
    assert (edited.status_code, edited.json()["device"]["device_key"]) == (200, "")
    full = await client.patch(f"{alice.base}/devices/{pump.device_id}", json={"location": "1,3"})
    assert full.json()["device"]["device_key"] == pump.device_key


@pytest.mark.parametrize(
    ("method", "path", "request_"),
    [(method, path, request) for method, path, request in CALLS if UNKNOWN in path],
)
async def test_another_accounts_device_answers_as_one_that_does_not_exist(
    client: httpx.AsyncClient,
    alice: Customer,
    boiler: Manufactured,
    method: str,
    path: str,
    request_: dict[str, Any],
) -> None:
    foreign = path.replace(UNKNOWN, boiler.device_id)
    replies = [
        await client.request(method, f"{alice.base}{each}", **request_) for each in (path, foreign)
    ]
    assert [each.status_code for each in replies] == [404, 404]
    assert replies[0].content == replies[1].content


async def test_bodies_are_bounded_and_of_their_type(
    client: httpx.AsyncClient, alice: Customer
) -> None:
    for path in ("/devices", "/groups"):
        text = await client.post(f"{alice.base}{path}", content="name=G")
        assert text.status_code == 415
        large = {"name": "G", "device_key": new_device_key(), "note": "x" * 70_000}
        assert (await client.post(f"{alice.base}{path}", json=large)).status_code == 413
