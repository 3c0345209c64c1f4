"""An account's first owner, made by the platform's operator without an invitation."""

from dataclasses import dataclass
from datetime import UTC, datetime

from services.api.documents.people import PersonDocument
from services.api.logic.account_changes import change_account
from services.api.logic.passwords import new_password
from services.api.logic.people import (
    check_username,
    claim_username,
    person_id_of,
    with_member,
)
from services.api.logic.signing_in import Stores
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.accounts import Account, Member, Role


@dataclass(frozen=True)
class Owner:
    """Who signs in, and with what; `password` is "" where they were there before."""

    username: str
    password: str


async def ensure_owner(stores: Stores, user_id: str, name: str) -> Owner:
    """An owner called `name`; where that is no username or taken, after the account.

    An owner that is there is left as it is; calling again completes what was interrupted.
    Raises NotFound, Conflict.
    """
    account = await stores.accounts.get(user_id)
    if account is None:
        raise NotFound("There is no account of this user id.")
    for member in account.members:
        if member.role is Role.OWNER:
            return Owner(member.username, "")
    password = new_password()
    hashed = await stores.passwords.hash(password)
    try:
        joining = await _claim(stores, user_id, name, hashed)
    except (InvalidRequest, Conflict):
        joining = await _claim(stores, user_id, f"owner-{user_id}", hashed)

    def change(account: Account) -> Account:
        return with_member(account, joining)

    await change_account(stores.accounts, user_id, change)
    return Owner(joining.username, password)


async def _claim(stores: Stores, user_id: str, username: str, hashed: str) -> Member:
    check_username(username)
    member = Member(
        person_id=person_id_of(username),
        username=username,
        role=Role.OWNER,
        joined_at=datetime.now(UTC),
    )
    person = PersonDocument(
        id=member.person_id,
        username=username,
        user_id=user_id,
        password=hashed,
        invitation_id="",
        claimed_at=member.joined_at,
    )
    await claim_username(stores.people, stores.accounts, person)
    return member
