"""Signing in, sessions and passwords."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from argon2 import PasswordHasher

from services.api.documents.sessions import Session
from services.api.logic import throttle
from services.api.logic.account_changes import change_account
from services.api.logic.sessions import MAX_OF_A_PERSON
from services.api.logic.signing_in import OF_ADDRESS
from services.api.resources import Resources
from shared.schemas.accounts import Account, Scope
from tests.access.persons import Persona, join, login, new_password, new_username, signed_in
from tests.api.customers import Customer
from tests.api.test_api_refusals import assert_error


@pytest.fixture(scope="module")
async def owner(client: httpx.AsyncClient, alice: Customer) -> Persona:
    return await join(client, alice, "owner")


@pytest.fixture(scope="module")
async def viewer(client: httpx.AsyncClient, alice: Customer) -> Persona:
    return await join(client, alice, "viewer")


@pytest.fixture(autouse=True)
async def _forget_the_address(resources: Resources) -> None:
    """All tests fail to sign in from the same one."""
    await throttle.forget(resources.attempts, OF_ADDRESS, "127.0.0.1")


async def test_an_unknown_username_answers_as_a_wrong_password(
    client: httpx.AsyncClient, viewer: Persona
) -> None:
    wrong = await login(client, viewer.username, "wrong password")
    unknown = await login(client, new_username(), "wrong password")
    assert_error(wrong, 401)
    assert wrong.content == unknown.content
    right = await login(client, viewer.username.upper(), viewer.password)
    assert right.status_code == 200, "usernames are the same in upper and lower case"


async def test_sessions_are_listed_and_ended(
    client: httpx.AsyncClient, alice: Customer, owner: Persona, viewer: Persona
) -> None:
    second = await signed_in(client, viewer.username, viewer.password)
    url = f"{viewer.base}/sessions"
    mine = (await client.get(url, headers=viewer.headers)).json()["items"]
    assert {each["username"] for each in mine} == {viewer.username}
    current = [each for each in mine if each["current"]]
    assert [each["id"] for each in current] == [viewer.session_id]
    assert current[0]["address"] == "127.0.0.1"
    assert current[0]["agent"].startswith("python-httpx")
    for base, headers in ((owner.base, owner.headers), (alice.base, {})):
        everyone = (await client.get(f"{base}/sessions?limit=200", headers=headers)).json()
        assert {viewer.username, owner.username} <= {each["username"] for each in everyone["items"]}
    only = await client.get(f"{alice.base}/sessions?limit=1&person_id={viewer.person_id}")
    assert only.json()["items"][0]["id"] == second.session_id, "the newest first"
    assert only.json()["next"]
    others = await client.get(f"{url}?person_id={owner.person_id}", headers=viewer.headers)
    assert_error(others, 403)
    assert_error(await client.delete(f"{url}/{owner.session_id}", headers=viewer.headers), 404)
    ended = await client.delete(f"{url}/{second.session_id}", headers=viewer.headers)
    assert ended.json() == {"result": "ended"}
    assert_error(await client.get(f"{second.base}/me", headers=second.headers), 401)
    third = await signed_in(client, viewer.username, viewer.password)
    await client.delete(f"{owner.base}/sessions/{third.session_id}", headers=owner.headers)
    assert_error(await client.get(f"{third.base}/me", headers=third.headers), 401)


async def test_signing_out(client: httpx.AsyncClient, viewer: Persona) -> None:
    person = await signed_in(client, viewer.username, viewer.password)
    out = await client.post(f"{person.base}/me/logout", headers=person.headers)
    assert out.json() == {"result": "signed out"}
    gone = await client.post(f"{person.base}/me/logout", headers=person.headers)
    garbage = {"Authorization": f"Bearer {person.user_id}.{'0' * 64}"}
    assert_error(gone, 401)
    assert (await client.get(f"{person.base}/me", headers=garbage)).content == gone.content


async def test_a_token_opens_its_own_account_only(
    client: httpx.AsyncClient, viewer: Persona, bob: Customer
) -> None:
    there = await client.get(f"/api/user/{bob.user_id}/-/me", headers=viewer.headers)
    assert_error(there, 401)
    renamed = {"Authorization": f"Bearer {bob.user_id}.{viewer.token.partition('.')[2]}"}
    assert_error(await client.get(f"/api/user/{bob.user_id}/-/me", headers=renamed), 401)


def _idle(session: Session) -> Session:
    return session.model_copy(update={"seen_at": session.seen_at - timedelta(days=7)})


def _old(session: Session) -> Session:
    return session.model_copy(update={"expires_at": datetime.now(UTC)})


@pytest.mark.parametrize("age", [_idle, _old])
async def test_sessions_end_by_themselves(
    client: httpx.AsyncClient,
    resources: Resources,
    viewer: Persona,
    age: Callable[[Session], Session],
) -> None:
    person = await signed_in(client, viewer.username, viewer.password)
    found = await resources.sessions.get(person.user_id, person.session_id)
    assert found is not None
    assert timedelta(days=6) < timedelta(seconds=found[0].ttl) <= timedelta(days=7)
    assert await resources.sessions.replace(age(found[0]), found[1])
    assert_error(await client.get(f"{person.base}/me", headers=person.headers), 401)


async def test_last_seen_is_kept_to_five_minutes(
    client: httpx.AsyncClient, resources: Resources, viewer: Persona
) -> None:
    async def session() -> tuple[Session, str]:
        found = await resources.sessions.get(viewer.user_id, viewer.session_id)
        assert found is not None
        return found

    before, tag = await session()
    await client.get(f"{viewer.base}/me", headers=viewer.headers)
    assert (await session())[1] == tag, "a write for each call would cost too much"
    earlier = before.seen_at - timedelta(minutes=6)
    await resources.sessions.replace(before.model_copy(update={"seen_at": earlier}), tag)
    await client.get(f"{viewer.base}/me", headers=viewer.headers)
    after, _ = await session()
    assert after.seen_at > before.seen_at
    assert after.expires_at == before.expires_at


async def test_the_oldest_session_of_many_ends(
    client: httpx.AsyncClient, resources: Resources, alice: Customer
) -> None:
    person = await join(client, alice, "viewer")
    found = await resources.sessions.get(person.user_id, person.session_id)
    assert found is not None
    later = found[0].created_at + timedelta(seconds=1)
    more = [
        found[0].model_copy(update={"id": f"{person.person_id}-{number}", "created_at": later})
        for number in range(MAX_OF_A_PERSON - 1)
    ]
    await asyncio.gather(*(resources.sessions.create(each) for each in more))
    await signed_in(client, person.username, person.password)
    assert_error(await client.get(f"{person.base}/me", headers=person.headers), 401)
    left = await resources.sessions.of_person(person.user_id, person.person_id)
    assert len(left) == MAX_OF_A_PERSON


async def test_a_new_password_ends_other_sessions(
    client: httpx.AsyncClient, alice: Customer
) -> None:
    person = await join(client, alice, "viewer")
    other = await signed_in(client, person.username, person.password)
    url, new = f"{person.base}/me/password", new_password()

    async def change(old: str, new: str) -> httpx.Response:
        body = {"password": old, "new_password": new}
        return await client.post(url, json=body, headers=person.headers)

    assert_error(await change("wrong", new), 403)
    assert_error(await change(person.password, person.username), 400)
    assert_error(await change(person.password, "short"), 400)
    assert (await change(person.password, new)).json() == {"result": "changed"}
    assert (await client.get(f"{person.base}/me", headers=person.headers)).status_code == 200
    assert_error(await client.get(f"{other.base}/me", headers=other.headers), 401)
    assert_error(await login(client, person.username, person.password), 401)
    assert (await login(client, person.username, new)).status_code == 200


async def test_keys_have_neither_password_nor_session(
    client: httpx.AsyncClient, resources: Resources, alice: Customer, bob: Customer
) -> None:
    me = (await client.get(f"{alice.base}/me")).json()
    assert (me["kind"], me["role"], me["scopes"], me["session_id"]) == ("key", None, ["admin"], "")
    assert_error(await client.post(f"{alice.base}/me/logout"), 403)
    body = {"password": "a", "new_password": "a long password"}
    assert_error(await client.post(f"{alice.base}/me/password", json=body), 403)

    def read_only(account: Account) -> Account:
        keys = [key.model_copy(update={"scopes": [Scope.READ]}) for key in account.api_keys]
        return account.model_copy(update={"api_keys": keys})

    before = await resources.accounts.get(bob.user_id)
    assert before is not None
    await change_account(resources.accounts, bob.user_id, read_only)
    assert_error(await client.get(f"{bob.base}/sessions"), 403)
    await change_account(
        resources.accounts,
        bob.user_id,
        lambda account: account.model_copy(update={"api_keys": before.api_keys}),
    )


async def test_a_password_is_hashed_again_with_todays_parameters(
    client: httpx.AsyncClient, resources: Resources, alice: Customer
) -> None:
    person = await join(client, alice, "viewer")
    found = await resources.people.get(person.person_id)
    assert found is not None
    assert person.password not in found[0].model_dump_json()
    weak = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(person.password)
    assert await resources.people.put(found[0].model_copy(update={"password": weak}), found[1])
    assert (await login(client, person.username, person.password)).status_code == 200
    after = await resources.people.get(person.person_id)
    assert after is not None
    assert "t=3,p=4" in after[0].password
    assert (await login(client, person.username, person.password)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"username": "ada"},
        {"username": "", "password": "a"},
        {"username": "ada", "password": ""},
        {"username": "ada", "password": "a" * 201},
        {"username": "ada", "password": 1},
        {"username": "ada", "password": "a", "more": "b"},
    ],
)
async def test_odd_logins(client: httpx.AsyncClient, body: dict[str, object]) -> None:
    assert_error(await client.post("/api/login", json=body), 400)
