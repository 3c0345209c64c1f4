"""What becomes of the keys and invitations of those who are gone."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.api.logic.access import Principal
from services.api.logic.authentication import authenticate
from services.api.logic.invitations import create_invitation
from services.api.logic.keys import edit_key, make_key, renew_key
from services.api.logic.people import change_role
from services.api.resources import Resources
from shared.errors import Forbidden
from shared.schemas.accounts import Role, Scope
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


async def principal_of(resources: Resources, holder: Caller) -> Principal:
    _, principal = await authenticate(
        resources.accounts, holder.user_id, holder.api_key, datetime.now(UTC)
    )
    return principal


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("DELETE", "", None),
        ("PATCH", "", {"scopes": ["write", "ota"]}),
        ("POST", "/renew", {"overlap_seconds": 0}),
    ],
)
async def test_a_call_that_began_before_makes_no_other_way_in(
    resources: Resources, owner: Caller, method: str, path: str, body: object
) -> None:
    """Such as one whose body took its time."""
    key = await owner.new_key("admin")
    other = await owner.new_key("admin")
    late = await principal_of(resources, owner.with_key(key["api_key"]))
    assert (await owner.call(method, f"/account/keys/{key['id']}{path}", body)).is_success
    known = await owner.get("/account/keys")
    now, accounts = datetime.now(UTC), resources.accounts
    with pytest.raises(Forbidden, match="any more"):
        await make_key(
            accounts,
            owner.user_id,
            name="n",
            scopes=[Scope.READ],
            expires_at=None,
            by=late,
            now=now,
        )
    with pytest.raises(Forbidden, match="any more"):
        await renew_key(
            accounts, owner.user_id, other["id"], overlap=timedelta(1), by=late, now=now
        )
    with pytest.raises(Forbidden, match="any more"):
        await edit_key(
            accounts, owner.user_id, other["id"], {"name": "n"}, if_match=None, by=late, now=now
        )
    with pytest.raises(Forbidden, match="any more"):
        await change_role(accounts, owner.user_id, "anybody", Role.OWNER, if_match=None, by=late)
    with pytest.raises(Forbidden, match="any more"):
        await create_invitation(accounts, owner.user_id, role=Role.OWNER, note="", created_by=late)
    assert {each["id"] for each in await owner.get("/account/keys")} == {
        each["id"] for each in known
    }
    assert await owner.get("/invitations") == []
