"""People of an account and their roles; usernames, which are unique on the platform."""

import hashlib
import re
from datetime import UTC, datetime, timedelta

from services.api.documents.people import PersonDocument
from services.api.logic.access import (
    ROLE_SCOPES,
    Principal,
    has_full_way_in,
    require_still_manages,
    without_invitations_of,
)
from services.api.logic.account_changes import change_account
from services.api.logic.sessions import end_sessions, member_of
from services.api.logic.versions import require_unchanged, tag_of
from services.api.store.accounts import Accounts
from services.api.store.people import People
from services.api.store.sessions import Sessions
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.accounts import Account, Member, Role, Scope

MAX_PEOPLE = 100  # of an account: they are in its one document
CLAIM = timedelta(minutes=10)  # so long a username is kept for who is just joining
# ASCII only: two usernames that look alike are the same.
_PERSON_ID = re.compile(r"[0-9a-f]{32}")
_USERNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._%+@'-]{2,99}")


def check_username(text: str) -> str:
    """Raises InvalidRequest."""
    if not _USERNAME.fullmatch(text):
        raise InvalidRequest(
            "A username is 3 to 100 letters, digits and . _ % + @ ' -, a letter or digit first: "
            "an e-mail address is one."
        )
    return text


def person_id_of(username: str) -> str:
    """The same in upper and lower case."""
    return hashlib.sha256(username.lower().encode(errors="replace")).hexdigest()[:32]


def is_person_id(text: str) -> bool:
    """Whether a text could be the id of a person."""
    return _PERSON_ID.fullmatch(text) is not None


def find_member(account: Account, person_id: str) -> Member:
    """Raises NotFound."""
    member = member_of(account, person_id)
    if member is None:
        raise NotFound("This account has no such person; GET .../people lists those it has.")
    return member


def version_of(member: Member) -> str:
    """Of what can be edited."""
    return tag_of(member.person_id, member.role)


async def change_role(
    accounts: Accounts,
    user_id: str,
    person_id: str,
    role: Role,
    *,
    if_match: str | None,
    by: Principal,
) -> Member:
    """In force with the person's next call.

    Raises NotFound, Changed, Forbidden, and Conflict where nobody could manage the account any
    more.
    """

    def change(account: Account) -> Account:
        require_still_manages(account, by)
        member = find_member(account, person_id)
        require_unchanged(if_match, version_of(member))
        changed = member.model_copy(update={"role": role})
        members = [changed if each is member else each for each in account.members]
        after = account.model_copy(update={"members": members})
        if Scope.ADMIN not in ROLE_SCOPES[role]:
            after = without_invitations_of(after, person_id)
        return _manageable(account, after)

    return find_member(await change_account(accounts, user_id, change), person_id)


async def remove_person(
    accounts: Accounts,
    people: People,
    sessions: Sessions,
    *,
    user_id: str,
    person_id: str,
    if_match: str | None,
) -> None:
    """Out with the next call; sessions and open invitations go too, the username is free again.

    Raises NotFound, Changed, and Conflict where nobody could manage the account any more.
    """

    def change(account: Account) -> Account:
        member = find_member(account, person_id)
        require_unchanged(if_match, version_of(member))
        members = [each for each in account.members if each is not member]
        after = account.model_copy(update={"members": members})
        return _manageable(account, without_invitations_of(after, person_id))

    # Read before: who takes the username over afterwards changes it, and keeps it.
    found = await people.get(person_id) if is_person_id(person_id) else None
    await change_account(accounts, user_id, change)
    if found is not None and found[0].user_id == user_id:
        await people.delete(person_id, found[1])
    await end_sessions(sessions, user_id, person_id)


async def claim_username(people: People, accounts: Accounts, person: PersonDocument) -> None:
    """Make a username somebody's, before the account says that they belong to it.

    A claim that was never completed may be taken over after `CLAIM`, and at once by the same
    invitation. Raises Conflict where it is taken.
    """
    found = await people.get(person.id)
    if found is not None and await _is_held(accounts, found[0], person):
        raise _taken()
    if not await people.put(person, found[1] if found else None):
        raise _taken()


def with_member(account: Account, member: Member) -> Account:
    """Raises Conflict where it is full."""
    if len(account.members) >= MAX_PEOPLE:
        raise Conflict(f"An account has at most {MAX_PEOPLE} people; remove one first.")
    others = [each for each in account.members if each.person_id != member.person_id]
    return account.model_copy(update={"members": [*others, member]})


async def _is_held(accounts: Accounts, holder: PersonDocument, wanted: PersonDocument) -> bool:
    account = await accounts.get(holder.user_id)
    if account is not None and member_of(account, holder.id) is not None:
        return True
    same = (holder.user_id, holder.invitation_id) == (wanted.user_id, wanted.invitation_id)
    return not same and datetime.now(UTC) - holder.claimed_at < CLAIM


def _manageable(before: Account, after: Account) -> Account:
    if has_full_way_in(before) and not has_full_way_in(after):
        raise Conflict(
            "This is the last owner, and no API key of scope 'admin' without expiry is left: make "
            "another owner, or such a key, first."
        )
    return after


def _taken() -> Conflict:
    return Conflict("This username is taken; choose another.")
