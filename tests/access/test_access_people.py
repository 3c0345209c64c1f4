"""People's roles, their usernames, and who may be removed."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.api.documents.people import PersonDocument
from services.api.logic.account_changes import change_account
from services.api.logic.people import person_id_of
from services.api.resources import Resources
from shared.schemas.accounts import Account, Role
from tests.access.persons import (
    Persona,
    accept,
    invite,
    join,
    login,
    new_password,
    new_username,
)
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error


@pytest.fixture(scope="module")
async def owner(client: httpx.AsyncClient, alice: Customer) -> Persona:
    return await join(client, alice, "owner")


@pytest.fixture(scope="module")
async def viewer(client: httpx.AsyncClient, alice: Customer) -> Persona:
    return await join(client, alice, "viewer")


async def test_what_each_role_may_do(
    client: httpx.AsyncClient, alice: Customer, owner: Persona, viewer: Persona
) -> None:
    operator = await join(client, alice, "operator")
    for person, role, may_write, may_manage in (
        (viewer, "viewer", False, False),
        (operator, "operator", True, False),
        (owner, "owner", True, True),
    ):
        me = await client.get(f"{person.base}/me", headers=person.headers)
        assert me.json()["role"] == role
        assert me.json()["name"] == person.username
        listed = await client.get(f"{person.base}/devices", headers=person.headers)
        keys = [one["device"]["device_key"] for one in listed.json()]
        assert all(bool(key) is may_manage for key in keys)
        unknown = f"{person.base}/devices/X400_{'0' * 40}/reboot"
        write = await client.post(unknown, headers=person.headers)
        assert write.status_code == (404 if may_write else 403)
        people = await client.get(f"{person.base}/people", headers=person.headers)
        assert people.status_code == (200 if may_manage else 403)


async def test_a_role_changes_at_once_and_not_over_anothers_change(
    client: httpx.AsyncClient, alice: Customer
) -> None:
    person = await join(client, alice, "owner")
    own = await client.post(
        f"{person.base}/invitations", headers=person.headers, json={"role": "owner"}
    )
    url = f"{alice.base}/people/{person.person_id}"
    tag = (await client.get(url)).headers["etag"]
    demoted = await client.patch(url, json={"role": "viewer"}, headers={"If-Match": tag})
    assert demoted.json()["role"] == "viewer"
    assert demoted.headers["etag"] != tag
    assert_error(await client.patch(url, json={"role": "owner"}, headers={"If-Match": tag}), 412)
    assert_error(await client.delete(url, headers={"If-Match": tag}), 412)
    refused = await client.get(f"{person.base}/people", headers=person.headers)
    assert "'admin'" in assert_error(refused, 403)
    # Their own invitation would make them owner again.
    assert_error(await accept(client, own.json()["token"], new_username(), new_password()), 404)


async def test_who_is_removed_is_out_and_stays_out(
    client: httpx.AsyncClient, alice: Customer, bob: Customer
) -> None:
    person = await join(client, alice, "owner")
    url = f"{alice.base}/people/{person.person_id}"
    assert (await client.delete(url)).json() == {"result": "removed"}
    assert_error(await client.get(f"{person.base}/devices", headers=person.headers), 401)
    assert_error(await login(client, person.username, person.password), 401)
    assert_error(await client.delete(url), 404)
    # The username is free again, and the new person is another one.
    there = await join(client, bob, "viewer", person.username.upper())
    assert there.user_id == bob.user_id
    assert_error(await client.get(f"{person.base}/devices", headers=person.headers), 401)


async def test_old_sessions_stay_dead_where_somebody_joins_again(
    client: httpx.AsyncClient, alice: Customer, resources: Resources
) -> None:
    person = await join(client, alice, "viewer")
    session = await resources.sessions.get(alice.user_id, person.session_id)
    assert session is not None
    await client.delete(f"{alice.base}/people/{person.person_id}")
    # As if the removal had been interrupted before it ended the sessions.
    await resources.sessions.create(session[0])
    again = await join(client, alice, "viewer", person.username)
    assert (await client.get(f"{again.base}/me", headers=again.headers)).status_code == 200
    assert_error(await client.get(f"{person.base}/me", headers=person.headers), 401)


async def test_somebody_can_always_manage_the_account(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    customer = await new_customer(resources)
    first = await join(client, customer, "owner")
    second = await join(client, customer, "viewer")

    def without_keys(account: Account) -> Account:
        return account.model_copy(update={"api_keys": []})

    await change_account(resources.accounts, customer.user_id, without_keys)
    mine, other = (f"{first.base}/people/{each.person_id}" for each in (first, second))
    assert "last owner" in assert_error(await client.delete(mine, headers=first.headers), 409)
    demoted = await client.patch(mine, json={"role": "operator"}, headers=first.headers)
    assert_error(demoted, 409)
    promoted = await client.patch(other, json={"role": "owner"}, headers=first.headers)
    assert promoted.status_code == 200
    # Both at the same time: one of them stays.
    replies = await asyncio.gather(
        client.delete(mine, headers=first.headers), client.delete(other, headers=second.headers)
    )
    assert sorted(reply.status_code for reply in replies) in ([200, 409], [200, 401])
    account = await resources.accounts.get(customer.user_id)
    assert account is not None
    assert [member.role for member in account.members] == [Role.OWNER]


async def test_a_username_is_one_persons(
    client: httpx.AsyncClient, alice: Customer, bob: Customer, viewer: Persona
) -> None:
    token = (await invite(client, bob, "viewer"))["token"]
    for taken in (viewer.username, viewer.username.upper()):
        reply = await accept(client, token, taken, new_password())
        assert "taken" in assert_error(reply, 409)
    assert (await accept(client, token, new_username(), new_password())).status_code == 201


@pytest.mark.parametrize(
    ("age", "same_invitation", "status"),
    [(timedelta(), False, 409), (timedelta(minutes=11), False, 201), (timedelta(), True, 201)],
)
async def test_a_claim_that_was_interrupted_is_not_kept_for_ever(
    client: httpx.AsyncClient,
    bob: Customer,
    resources: Resources,
    age: timedelta,
    same_invitation: bool,
    status: int,
) -> None:
    invitation = await invite(client, bob, "viewer")
    username = new_username()
    claim = PersonDocument(
        id=person_id_of(username),
        username=username,
        user_id=bob.user_id,
        password="$argon2id$unknown",
        invitation_id=invitation["id"] if same_invitation else "another",
        claimed_at=datetime.now(UTC) - age,
    )
    assert await resources.people.put(claim, None)
    password = new_password()
    reply = await accept(client, invitation["token"], username, password)
    assert reply.status_code == status
    signed_in = await login(client, username, password)
    assert signed_in.status_code == (200 if status == 201 else 401)


async def test_another_accounts_people_answer_as_what_does_not_exist(
    client: httpx.AsyncClient, alice: Customer, bob: Customer, owner: Persona
) -> None:
    invitation = await invite(client, alice, "viewer")
    for method, foreign, unknown in (
        ("GET", f"/people/{owner.person_id}", "/people/nobody"),
        ("PATCH", f"/people/{owner.person_id}", "/people/nobody"),
        ("DELETE", f"/people/{owner.person_id}", "/people/nobody"),
        ("DELETE", f"/invitations/{invitation['id']}", "/invitations/none"),
        ("DELETE", f"/sessions/{owner.session_id}", "/sessions/none"),
    ):
        body = {"role": "viewer"} if method == "PATCH" else None
        theirs = await client.request(method, bob.base + foreign, json=body)
        nobodys = await client.request(method, bob.base + unknown, json=body)
        assert_error(theirs, 404)
        assert theirs.content == nobodys.content
    assert (await client.get(f"{owner.base}/me", headers=owner.headers)).status_code == 200
