"""Sessions of people: found by their token, listed, ended."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

from services.api.documents.sessions import Session
from services.api.logic.access import ROLE_SCOPES, Principal
from services.api.logic.ids import is_user_id
from services.api.logic.tokens import account_of, digest, new_token
from services.api.store.accounts import Accounts
from services.api.store.sessions import SessionPage, Sessions
from shared.errors import Forbidden, NotFound, Unauthorized
from shared.schemas.accounts import Account, Member

SEEN_EVERY = timedelta(minutes=5)  # how exact "last seen" is: a write for each would cost too much
MAX_OF_A_PERSON = 50  # the oldest ends when one more begins
MAX_AGENT = 200  # characters
_ID = re.compile(r"[0-9a-f]{32}")
_NOT_SIGNED_IN = "This session has ended or never was; sign in again."


def session_id_of(token: str) -> str:
    """Tells nothing of the token, so it may be shown and stand in a path."""
    return digest(token)[:32]


async def person_of(
    sessions: Sessions, accounts: Accounts, user_id: str, token: str
) -> tuple[Account, Principal]:
    """The account, and the person who signed in with this token, with what the role allows now.

    Two point reads at the same time. Raises Unauthorized, with the same words whatever is wrong,
    and Unavailable.
    """
    if not is_user_id(user_id) or account_of(token) != user_id:
        raise Unauthorized(_NOT_SIGNED_IN)
    found, account = await asyncio.gather(
        sessions.get(user_id, session_id_of(token)), accounts.get(user_id)
    )
    if found is None or account is None:
        raise Unauthorized(_NOT_SIGNED_IN)
    session, etag = found
    now = datetime.now(UTC)
    member = member_of(account, session.person_id)
    if member is None or member.joined_at != session.joined_at or now >= ends_at(session):
        raise Unauthorized(_NOT_SIGNED_IN)
    if now - session.seen_at >= min(SEEN_EVERY, timedelta(seconds=session.idle_seconds) / 10):
        # Where another call was quicker, that one has written it.
        await sessions.replace(_seen(session, now), etag)
    principal = Principal(
        "person", member.person_id, member.username, ROLE_SCOPES[member.role], session.id
    )
    return account, principal


def member_of(account: Account, person_id: str) -> Member | None:
    """None where the person does not belong to the account."""
    return next((each for each in account.members if each.person_id == person_id), None)


def ends_at(session: Session) -> datetime:
    """Unless it is used before."""
    return min(session.seen_at + timedelta(seconds=session.idle_seconds), session.expires_at)


async def begin(
    sessions: Sessions,
    user_id: str,
    member: Member,
    *,
    idle: timedelta,
    longest: timedelta,
    address: str,
    agent: str,
) -> tuple[Session, str]:
    """A new session and its token, which is stored nowhere."""
    token = new_token(user_id)
    now = datetime.now(UTC)
    session = Session(
        id=session_id_of(token),
        user_id=user_id,
        person_id=member.person_id,
        username=member.username,
        joined_at=member.joined_at,
        created_at=now,
        seen_at=now,
        expires_at=now + longest,
        idle_seconds=int(idle.total_seconds()),
        address=address,
        agent=agent[:MAX_AGENT],
        ttl=0,
    )
    earlier = await sessions.of_person(user_id, member.person_id)
    for oldest in earlier[: max(0, len(earlier) - MAX_OF_A_PERSON + 1)]:
        await sessions.delete(user_id, oldest.id)
    session = _seen(session, now)
    await sessions.create(session)
    return session, token


async def list_sessions(
    sessions: Sessions,
    user_id: str,
    principal: Principal,
    *,
    person_id: str,
    limit: int,
    cursor: str,
) -> SessionPage:
    """One's own; who has `admin` sees those of all, or of the person asked for.

    Raises Forbidden, InvalidRequest for the cursor.
    """
    if not principal.full:
        if principal.kind == "key":
            raise Forbidden("Sessions are people's: a key needs the scope 'admin' to see them.")
        if person_id not in ("", principal.id):
            raise Forbidden("These are another person's sessions: seeing them needs an owner.")
        person_id = principal.id
    return await sessions.page(user_id, person_id, limit, cursor)


async def end_session(
    sessions: Sessions, user_id: str, principal: Principal, session_id: str
) -> None:
    """At once. Raises NotFound, also for another person's where the caller is no owner."""
    found = await sessions.get(user_id, session_id) if _ID.fullmatch(session_id) else None
    if found is not None and (principal.full or found[0].person_id == principal.id):
        await sessions.delete(user_id, session_id)
        return
    raise NotFound("There is no such session; it may have ended.")


async def end_sessions(sessions: Sessions, user_id: str, person_id: str, *, keep: str = "") -> None:
    """All of a person's, but the one that is kept."""
    for session in await sessions.of_person(user_id, person_id):
        if session.id != keep:
            await sessions.delete(user_id, session.id)


def _seen(session: Session, now: datetime) -> Session:
    seen = session.model_copy(update={"seen_at": now})
    left = int((ends_at(seen) - now).total_seconds())
    return seen.model_copy(update={"ttl": max(1, left)})
