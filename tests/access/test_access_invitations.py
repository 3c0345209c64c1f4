"""Inviting people, and accepting once."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.api.logic.account_changes import change_account
from services.api.logic.invitations import MAX_INVITATIONS
from services.api.logic.people import MAX_PEOPLE
from services.api.resources import Resources
from shared.schemas.accounts import Account, Invitation, Member, Role
from tests.access.persons import (
    accept,
    invite,
    new_password,
    new_username,
)
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error


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
