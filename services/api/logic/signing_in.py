"""Signing in with username and password, and changing the password."""

from dataclasses import dataclass
from datetime import timedelta

from services.api.documents.people import PersonDocument
from services.api.documents.sessions import Session
from services.api.logic import sessions as sessions_logic
from services.api.logic import throttle
from services.api.logic.access import Principal
from services.api.logic.audit import Act, Actor, record
from services.api.logic.passwords import Passwords, check_password, new_password
from services.api.logic.people import person_id_of
from services.api.store.accounts import Accounts
from services.api.store.attempts import Attempts
from services.api.store.audit import Audit
from services.api.store.people import People
from services.api.store.sessions import Sessions
from services.api.store.timeline import Timeline
from shared.errors import Conflict, Forbidden, NotFound, Unauthorized
from shared.rate_limit import address_group
from shared.schemas.accounts import Member

ROUNDS = 5  # under an ETag, before giving up
OF_USERNAME = throttle.Throttle(
    kind="password of a username",
    free=5,
    first_wait=timedelta(seconds=1),
    longest_wait=timedelta(minutes=15),
    forgotten_after=timedelta(days=1),
)
# Many people may share an address.
OF_ADDRESS = throttle.Throttle(
    kind="password from an address",
    free=50,
    first_wait=timedelta(seconds=1),
    longest_wait=timedelta(minutes=15),
    forgotten_after=timedelta(hours=1),
)


@dataclass(frozen=True)
class Stores:
    """What signing in reads and writes."""

    accounts: Accounts
    people: People
    sessions: Sessions
    attempts: Attempts
    audit: Audit
    timeline: Timeline
    passwords: Passwords


@dataclass(frozen=True)
class Client:
    """From where, with what, and for how long somebody signs in."""

    address: str
    agent: str
    idle: timedelta
    longest: timedelta


@dataclass(frozen=True)
class SignedIn:
    """A new session, and its token, which is stored nowhere."""

    session: Session
    token: str
    member: Member


class SignInFailed(Unauthorized):
    """Wrong username or password: 401. `person`: whose password it should have been."""

    def __init__(self, person: PersonDocument | None) -> None:
        super().__init__("Wrong username or password.")
        self.person = person


async def sign_in(stores: Stores, username: str, password: str, client: Client) -> SignedIn:
    """Raises TooMany after too many failures of this username or from this address.

    Raises SignInFailed with the same words, and after the same time, whether the username
    exists or not: so it is not noted here.
    """
    # Counted before it is known: guesses at the same time must not pass each other.
    group = address_group(client.address)
    counted = await throttle.count_failure(stores.attempts, OF_ADDRESS, group)
    await throttle.count_failure(stores.attempts, OF_USERNAME, username.lower())
    found = await stores.people.get(person_id_of(username))
    person = found[0] if found else None
    right = await stores.passwords.matches(person.password if person else None, password)
    if person is None or not right:
        raise SignInFailed(person)
    account = await stores.accounts.get(person.user_id)
    member = sessions_logic.member_of(account, person.id) if account else None
    if member is None:
        raise SignInFailed(None)
    await throttle.take_back(stores.attempts, OF_ADDRESS, group, counted)
    await throttle.forget(stores.attempts, OF_USERNAME, username.lower())
    session, token = await sessions_logic.begin(
        stores.sessions,
        person.user_id,
        member,
        idle=client.idle,
        longest=client.longest,
        address=client.address,
        agent=client.agent,
    )
    # Whoever changed the password meanwhile has ended all sessions but perhaps this one.
    if not await _still_opens(stores, person, password):
        await stores.sessions.delete(session.user_id, session.id)
        raise SignInFailed(person)
    await note(stores, person, 200, client.address)
    return SignedIn(session, token, member)


async def note(stores: Stores, person: PersonDocument, status: int, address: str) -> None:
    """Write down that somebody signed in as this person, or tried to."""
    act = Act(
        user_id=person.user_id,
        actor=Actor("person", person.id, person.username),
        operation="login",
        status=status,
        address=address,
    )
    await record(stores.audit, stores.timeline, act)


async def change_password(
    stores: Stores, user_id: str, principal: Principal, old: str, new: str
) -> None:
    """Ends the person's other sessions.

    Raises Forbidden for a key and for a wrong old password, which counts as a failure to sign
    in; InvalidRequest, TooMany.
    """
    require_person(principal)
    check_password(new, principal.name)
    name = principal.name.lower()
    await throttle.count_failure(stores.attempts, OF_USERNAME, name)
    person, etag = await _person(stores.people, user_id, principal.id)
    if not await stores.passwords.matches(person.password, old):
        raise Forbidden("The old password is wrong; nothing was changed.")
    await throttle.forget(stores.attempts, OF_USERNAME, name)
    hashed = await stores.passwords.hash(new)
    # Before, since the process may end in between; and after, for those that began meanwhile.
    await _end_others(stores, user_id, principal)
    if not await stores.people.put(person.model_copy(update={"password": hashed}), etag):
        raise Conflict("The password is being changed somewhere else at the same time; try again.")
    await _end_others(stores, user_id, principal)


async def reset_password(stores: Stores, username: str) -> tuple[str, str]:
    """For the platform's operator: a new random password, and whose account it is.

    Ends all sessions, and what was tried in vain is forgotten. Raises NotFound, Conflict.
    """
    password = new_password()
    hashed = await stores.passwords.hash(password)
    for _ in range(ROUNDS):
        found = await stores.people.get(person_id_of(username))
        if found is None:
            raise NotFound("There is no person of this username.")
        person, etag = found
        if await stores.people.put(person.model_copy(update={"password": hashed}), etag):
            await sessions_logic.end_sessions(stores.sessions, person.user_id, person.id)
            await throttle.forget(stores.attempts, OF_USERNAME, username.lower())
            return person.user_id, password
    raise Conflict("The password is being changed somewhere else at the same time; try again.")


def require_person(principal: Principal) -> None:
    """Raises Forbidden for an API key."""
    if principal.kind != "person":
        raise Forbidden("This is for people who signed in; an API key has no password or session.")


async def _end_others(stores: Stores, user_id: str, principal: Principal) -> None:
    await sessions_logic.end_sessions(
        stores.sessions, user_id, principal.id, keep=principal.session_id
    )


async def _person(people: People, user_id: str, person_id: str) -> tuple[PersonDocument, str]:
    found = await people.get(person_id)
    if found is None or found[0].user_id != user_id:
        raise NotFound("This person was removed; sign in again.")
    return found


async def _still_opens(stores: Stores, person: PersonDocument, password: str) -> bool:
    """Whether it is still this password; hashes it again where today's parameters are others."""
    found = await stores.people.get(person.id)
    if found is None:
        return False
    now, etag = found
    if now.password != person.password:
        return await stores.passwords.matches(now.password, password)
    if stores.passwords.is_outdated(now.password):
        fresh = await stores.passwords.hash(password)
        await stores.people.put(now.model_copy(update={"password": fresh}), etag)
    return True
