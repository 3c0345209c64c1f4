"""What becomes of the keys and invitations of those who are gone."""

import httpx
import pytest

from services.api.resources import Resources
from tests.access.account_calls import Caller, caller_of
from tests.access.persons import accept, join, new_password, new_username
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error


@pytest.fixture
async def customer(resources: Resources) -> Customer:
    """An account of its own."""
    return await new_customer(resources)


@pytest.fixture
def owner(client: httpx.AsyncClient, customer: Customer) -> Caller:
    return caller_of(client, customer)


async def gone(owner: Caller, key_id: str) -> bool:
    listed: dict[str, bool] = {
        each["id"]: each["created_by_gone"] for each in await owner.get("/account/keys")
    }
    assert (await owner.get(f"/account/keys/{key_id}"))["created_by_gone"] is listed[key_id]
    return listed[key_id]


@pytest.mark.parametrize(
    ("method", "path", "body", "lives"),
    [
        ("DELETE", "", None, False),
        ("PATCH", "", {"scopes": ["write", "ota"]}, False),
        ("PATCH", "", {"name": "other"}, True),
        ("POST", "/renew", {"overlap_seconds": 0}, False),
        ("POST", "/renew", {"overlap_seconds": 60}, True),
    ],
)
async def test_invitations_end_with_the_key_that_made_them(
    owner: Caller, method: str, path: str, body: object, lives: bool
) -> None:
    key = await owner.new_key("admin", name="lost")
    lost = owner.with_key(key["api_key"])
    made, other = [
        (await each.call("POST", "/invitations", {"role": "owner"})).json()
        for each in (lost, owner)
    ]
    changed = await owner.call(method, f"/account/keys/{key['id']}{path}", body)
    assert changed.is_success
    listed = {each["id"] for each in await owner.get("/invitations")}
    assert listed == ({made["id"], other["id"]} if lives else {other["id"]})
    reply = await accept(owner.client, made["token"], new_username(), new_password())
    if lives:
        assert reply.status_code == 201
    else:
        assert_error(reply, 404)


async def test_keys_stay_and_say_that_their_maker_is_gone(
    client: httpx.AsyncClient, customer: Customer, owner: Caller
) -> None:
    ada = await join(client, customer, "owner")
    reply = await client.post(
        f"{ada.base}/account/keys", headers=ada.headers, json={"name": "a", "scopes": ["read"]}
    )
    key = reply.json()
    assert (key["created_by"], key["created_by_gone"]) == (ada.username, False)
    assert not await gone(owner, key["id"])
    assert (await owner.call("DELETE", f"/people/{ada.person_id}")).status_code == 200
    assert await gone(owner, key["id"])
    assert (await owner.with_key(key["api_key"]).call("GET", "/devices")).status_code == 200
    # Whoever has the username now is somebody else.
    await join(client, customer, "owner", ada.username)
    assert await gone(owner, key["id"])


async def test_keys_of_keys(owner: Caller) -> None:
    first = await owner.new_key("admin")
    second = await owner.with_key(first["api_key"]).new_key("read")
    assert not await gone(owner, second["id"])
    await owner.call("DELETE", f"/account/keys/{first['id']}")
    assert await gone(owner, second["id"])
    assert not await gone(owner, (await owner.get("/account/keys"))[0]["id"])  # the operator's
