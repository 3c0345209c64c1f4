"""What is left where a process ends in the middle, or where another call comes in between."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import httpx
import pytest

from services.api.documents.people import PersonDocument
from services.api.logic import throttle
from services.api.logic.access import ROLE_SCOPES, Principal
from services.api.logic.account_changes import change_account
from services.api.logic.accounts import create_account
from services.api.logic.invitations import create_invitation
from services.api.logic.signing_in import (
    OF_ADDRESS,
    Client,
    SignInFailed,
    change_password,
    sign_in,
)
from services.api.resources import Resources
from services.api.store.attempts import Attempts
from services.api.store.people import People
from shared.errors import Forbidden
from shared.schemas.accounts import Account, Role
from tests.access.persons import join, new_password, new_username, signed_in
from tests.api.customers import Customer, new_customer
from tests.api.interruptions import KilledError
from tests.api.test_api_refusals import assert_error


class _KilledPeople(People):
    """The process ends when a person was written."""

    async def put(self, person: PersonDocument, etag: str | None) -> bool:
        await super().put(person, etag)
        raise KilledError


@dataclass(frozen=True)
class _AttemptsAnd(Attempts):
    """Something else happens when the failures of who gave the right password are forgotten."""

    then: Callable[[], Awaitable[None]]

    async def delete(self, name: str) -> None:
        await super().delete(name)
        await self.then()


async def test_a_password_that_changed_leaves_no_other_session_behind(
    client: httpx.AsyncClient, resources: Resources, alice: Customer
) -> None:
    person = await join(client, alice, "viewer")
    thief = await signed_in(client, person.username, person.password)
    stores = replace(resources.signing_in, people=_KilledPeople(resources.people.container))
    me = Principal(
        "person", person.person_id, person.username, ROLE_SCOPES[Role.VIEWER], person.session_id
    )
    with pytest.raises(KilledError):
        await change_password(stores, person.user_id, me, person.password, new_password())
    assert_error(await client.get(f"{thief.base}/me", headers=thief.headers), 401)
    mine = await client.get(f"{person.base}/me", headers=person.headers)
    assert mine.status_code == 200


async def test_who_signs_in_while_the_password_changes_is_not_signed_in(
    client: httpx.AsyncClient, resources: Resources, alice: Customer
) -> None:
    person = await join(client, alice, "viewer")

    async def change() -> None:
        found = await resources.people.get(person.person_id)
        assert found is not None
        hashed = await resources.passwords.hash(new_password())
        changed = found[0].model_copy(update={"password": hashed})
        assert await resources.people.put(changed, found[1])

    attempts = _AttemptsAnd(resources.attempts.container, change)
    stores = replace(resources.signing_in, attempts=attempts)
    here = Client("192.0.2.1", "test", timedelta(days=7), timedelta(days=30))
    with pytest.raises(SignInFailed):
        await sign_in(stores, person.username, person.password, here)
    left = await resources.sessions.of_person(person.user_id, person.person_id)
    assert [each.id for each in left] == [person.session_id]


@pytest.mark.parametrize("removed", [True, False])
async def test_who_was_put_out_meanwhile_invites_nobody(
    client: httpx.AsyncClient, resources: Resources, alice: Customer, removed: bool
) -> None:
    person = await join(client, alice, "owner")
    # Let in by a call before this one, and only now about to write.
    late = Principal("person", person.person_id, person.username, ROLE_SCOPES[Role.OWNER])
    url = f"{alice.base}/people/{person.person_id}"
    out = await (client.delete(url) if removed else client.patch(url, json={"role": "operator"}))
    assert out.status_code == 200
    with pytest.raises(Forbidden):
        await create_invitation(
            resources.accounts, alice.user_id, role=Role.OWNER, note="", created_by=late
        )
    listed = (await client.get(f"{alice.base}/invitations")).json()
    assert person.username not in [each["created_by"] for each in listed]


async def test_an_account_of_people_alone_gets_no_key_when_it_is_made_again(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    customer = await new_customer(resources)
    await join(client, customer, "owner")

    def without_keys(account: Account) -> Account:
        return account.model_copy(update={"api_keys": []})

    await change_account(resources.accounts, customer.user_id, without_keys)
    again = await create_account(
        resources.making_accounts, user_id=customer.user_id, username="again"
    )
    assert again.api_key == ""
    account = await resources.accounts.get(customer.user_id)
    assert account is not None
    assert account.api_keys == []


async def test_signing_in_oneself_does_not_end_the_waiting_for_guesses(
    resources: Resources,
) -> None:
    address, attempts = new_username(), resources.attempts
    for _ in range(OF_ADDRESS.free - 1):
        await throttle.count_failure(attempts, OF_ADDRESS, address)
    own = await throttle.count_failure(attempts, OF_ADDRESS, address)
    found = await attempts.get(OF_ADDRESS.id_of(address))
    assert found is not None
    # The guess was counted while the right password was being looked at.
    guess = found[0].model_copy(
        update={
            "failures": OF_ADDRESS.free + 1,
            "closed_until": found[0].closed_until + OF_ADDRESS.longest_wait,
        }
    )
    assert await attempts.put(guess, found[1])
    await throttle.take_back(attempts, OF_ADDRESS, address, own)
    after = await attempts.get(OF_ADDRESS.id_of(address))
    assert after is not None
    assert after[0].failures == OF_ADDRESS.free
    assert after[0].closed_until == guess.closed_until
