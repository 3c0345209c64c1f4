"""Inviting people, their roles, and who may be removed."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.api.documents.people import PersonDocument
from services.api.logic.account_changes import change_account
from services.api.logic.invitations import MAX_INVITATIONS
from services.api.logic.people import MAX_PEOPLE, person_id_of
from services.api.resources import Resources
from shared.schemas.accounts import Account, Invitation, Member, Role
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


async def test_an_invitation_works_once(client: httpx.AsyncClient, alice: Customer) -> None:
    made = await client.post(
        f"{alice.base}/invitations", json={"role": "operator", "note": "Grace"}
    )
    invitation = made.json()
    assert made.headers["location"] == f"{alice.base}/invitations/{invitation['id']}"
    assert invitation["link"].endswith(f"/join#{invitation['token']}")
    assert (await client.get(invitation["link"].partition("#")[0])).status_code == 200
    listed = (await client.get(f"{alice.base}/invitations")).json()
    shown = {name: invitation[name] for name in invitation if name not in ("token", "link")}
    assert shown in listed
    username, password = new_username(), new_password()
    joined = await accept(client, invitation["token"], username, password)
    assert joined.status_code == 201
    assert joined.json()["user_id"] == alice.user_id
    person = joined.json()["person"]
    assert (person["username"], person["role"]) == (username, "operator")
    assert (await client.get(f"{alice.base}/people/{person['id']}")).json() == person
    assert person in (await client.get(f"{alice.base}/people")).json()
    again = await accept(client, invitation["token"], new_username(), password)
    garbage = await accept(client, f"{alice.user_id}.{'0' * 64}", new_username(), password)
    nobody = await accept(client, "nobody." + "0" * 64, new_username(), password)
    odd = await accept(client, "no token", new_username(), password)
    assert_error(again, 404)
    assert again.content == garbage.content == nobody.content == odd.content
    assert shown not in (await client.get(f"{alice.base}/invitations")).json()


async def test_of_many_who_accept_at_the_same_time_one_joins(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    customer = await new_customer(resources)
    token = (await invite(client, customer, "viewer"))["token"]
    password = new_password()
    replies = await asyncio.gather(
        *(accept(client, token, new_username(), password) for _ in range(4))
    )
    assert sorted(reply.status_code for reply in replies) == [201, 404, 404, 404]
    assert len((await client.get(f"{customer.base}/people")).json()) == 1


async def test_invitations_end(
    client: httpx.AsyncClient, alice: Customer, resources: Resources
) -> None:
    deleted = await invite(client, alice, "viewer")
    url = f"{alice.base}/invitations/{deleted['id']}"
    assert (await client.delete(url)).json() == {"result": "deleted"}
    assert_error(await client.delete(url), 404)
    assert_error(await accept(client, deleted["token"], new_username(), new_password()), 404)
    expired = await invite(client, alice, "viewer")

    def expire(account: Account) -> Account:
        changed = [
            each.model_copy(update={"expires_at": datetime.now(UTC)})
            if each.id == expired["id"]
            else each
            for each in account.invitations
        ]
        return account.model_copy(update={"invitations": changed})

    await change_account(resources.accounts, alice.user_id, expire)
    assert_error(await accept(client, expired["token"], new_username(), new_password()), 404)
    listed = (await client.get(f"{alice.base}/invitations")).json()
    assert expired["id"] not in [each["id"] for each in listed]


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


async def test_an_account_has_bounds(client: httpx.AsyncClient, resources: Resources) -> None:
    customer = await new_customer(resources)
    token = (await invite(client, customer, "viewer"))["token"]
    now = datetime.now(UTC)

    def fill(account: Account) -> Account:
        members = [
            Member(person_id=str(n), username=f"p{n}", role=Role.VIEWER, joined_at=now)
            for n in range(MAX_PEOPLE)
        ]
        open_ones = [
            Invitation(
                id=str(n),
                sha256="",
                role=Role.VIEWER,
                created_at=now,
                created_by="",
                expires_at=now + timedelta(days=1),
            )
            for n in range(MAX_INVITATIONS - 1)
        ]
        invitations = [*account.invitations, *open_ones]
        return account.model_copy(update={"members": members, "invitations": invitations})

    await change_account(resources.accounts, customer.user_id, fill)
    full = await accept(client, token, new_username(), new_password())
    assert str(MAX_PEOPLE) in assert_error(full, 409)
    more = await client.post(f"{customer.base}/invitations", json={"role": "viewer"})
    assert str(MAX_INVITATIONS) in assert_error(more, 409)


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


@pytest.mark.parametrize(
    "changes",
    [
        {"username": "ab"},
        {"username": "a" * 101},
        {"username": "with space"},
        {"username": "jürgen"},
        {"username": "@first"},
        {"password": "too short"},
        {"password": "a" * 201},
        {"password": "ada@example.com"},
        {"password": "\u0000" * 12},
        {"token": ""},
        {"token": "a" * 201},
        {"token": 1},
        {"role": "owner"},
    ],
)
async def test_odd_acceptances(client: httpx.AsyncClient, changes: dict[str, object]) -> None:
    body = {"token": "u.x", "username": "Ada@example.com", "password": "a long password"}
    assert_error(await client.post("/api/invitations/accept", json=body | changes), 400)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"role": "king"},
        {"role": "viewer", "expires_in_seconds": 3599},
        {"role": "viewer", "expires_in_seconds": 30 * 86_400 + 1},
        {"role": "viewer", "expires_in_seconds": "7200"},
        {"role": "viewer", "note": "a" * 201},
        {"role": "viewer", "more": 1},
        [],
    ],
)
async def test_odd_invitations(
    client: httpx.AsyncClient, alice: Customer, body: dict[str, object]
) -> None:
    assert_error(await client.post(f"{alice.base}/invitations", json=body), 400)
