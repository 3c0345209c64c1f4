"""Inviting people into an account by a link that works once."""

import hmac
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.api.documents.people import PersonDocument
from services.api.logic.access import Principal, require_still_manages
from services.api.logic.account_changes import change_account
from services.api.logic.audit import OPERATOR
from services.api.logic.passwords import Passwords, check_password
from services.api.logic.people import (
    check_username,
    claim_username,
    person_id_of,
    with_member,
)
from services.api.logic.tokens import account_of, digest, new_token
from services.api.store.accounts import Accounts
from services.api.store.people import People
from shared.errors import Conflict, NotFound
from shared.schemas.accounts import Account, Invitation, Member, Role

MAX_INVITATIONS = 100  # open ones of an account: they are in its one document
DEFAULT_LIFE = timedelta(days=7)


@dataclass(frozen=True)
class Invited:
    """A new invitation, and its token, which is stored nowhere."""

    invitation: Invitation
    token: str


@dataclass(frozen=True)
class Joined:
    """Who joined which account."""

    user_id: str
    member: Member


def open_invitations(account: Account) -> list[Invitation]:
    """Those that still work, newest first."""
    now = datetime.now(UTC)
    still = [each for each in account.invitations if now < each.expires_at]
    return sorted(still, key=lambda each: each.created_at, reverse=True)


async def create_invitation(
    accounts: Accounts,
    user_id: str,
    *,
    role: Role,
    note: str,
    created_by: Principal | None,
    life: timedelta = DEFAULT_LIFE,
) -> Invited:
    """By the platform's operator where `created_by` is None.

    Raises NotFound for the account, Conflict where too many are open, and Forbidden for who was
    put out since their call began: their invitations were deleted then.
    """
    token, now = new_token(user_id), datetime.now(UTC)
    invitation = Invitation(
        id=f"i{secrets.token_hex(8)}",
        sha256=digest(token),
        role=role,
        note=note,
        created_at=now,
        created_by=created_by.name if created_by else OPERATOR.name,
        created_by_id=created_by.id if created_by else OPERATOR.id,
        expires_at=now + life,
    )

    def change(account: Account) -> Account:
        require_still_manages(account, created_by)
        still = open_invitations(account)
        if len(still) >= MAX_INVITATIONS:
            raise Conflict(
                f"{MAX_INVITATIONS} invitations are open already; delete one, or wait until one "
                "was accepted."
            )
        return account.model_copy(update={"invitations": [invitation, *still]})

    await change_account(accounts, user_id, change)
    return Invited(invitation, token)


async def delete_invitation(accounts: Accounts, user_id: str, invitation_id: str) -> None:
    """Its link no longer works. Raises NotFound."""

    def change(account: Account) -> Account:
        kept = [each for each in account.invitations if each.id != invitation_id]
        if len(kept) == len(account.invitations):
            raise NotFound("There is no such invitation; it was accepted, deleted or has expired.")
        return account.model_copy(update={"invitations": kept})

    await change_account(accounts, user_id, change)


async def accept_invitation(
    accounts: Accounts,
    people: People,
    passwords: Passwords,
    *,
    token: str,
    username: str,
    password: str,
) -> Joined:
    """Join the account; calling again completes what was interrupted.

    Raises InvalidRequest, Conflict (username taken, account full), Unavailable, and NotFound,
    with the same words whatever is wrong with the token.
    """
    check_username(username)
    check_password(password, username)
    user_id = account_of(token)
    account = await accounts.get(user_id) if user_id else None
    invitation = _of_token(account, token)
    joining = Member(
        person_id=person_id_of(username),
        username=username,
        role=invitation.role,
        joined_at=datetime.now(UTC),
    )
    person = PersonDocument(
        id=joining.person_id,
        username=username,
        user_id=user_id,
        password=await passwords.hash(password),
        invitation_id=invitation.id,
        claimed_at=joining.joined_at,
    )
    await claim_username(people, accounts, person)

    def change(account: Account) -> Account:
        _of_token(account, token)  # used or deleted in the meantime
        kept = [each for each in account.invitations if each.id != invitation.id]
        return with_member(account.model_copy(update={"invitations": kept}), joining)

    await change_account(accounts, user_id, change)
    return Joined(user_id, joining)


def _of_token(account: Account | None, token: str) -> Invitation:
    given = digest(token)
    for each in open_invitations(account) if account else []:
        if hmac.compare_digest(each.sha256, given):
            return each
    raise NotFound(
        "This invitation was used or deleted, or has expired; ask whoever invited you for another."
    )
