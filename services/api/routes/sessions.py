"""Signing in, sessions, passwords."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request, Response
from starlette.background import BackgroundTask

from services.api.documents.sessions import Session as StoredSession
from services.api.entities.sessions import (
    ChangePassword,
    Login,
    Me,
    Session,
    SessionPage,
    SignedIn,
)
from services.api.logic import sessions, signing_in
from services.api.logic.signing_in import Client, SignInFailed
from services.api.routes.dependencies import Caller, Opened, client_address
from services.api.routes.errors import refusals
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from services.api.routes.router import customer_router, public_router
from shared.replies import error_response
from shared.schemas.contract import Result

router = customer_router("people")
public = public_router("people")


def _client(request: Request, resources: Opened) -> Client:
    return Client(
        address=client_address(request),
        agent=request.headers.get("User-Agent", ""),
        idle=resources.settings.session_idle,
        longest=resources.settings.session_longest,
    )


@public.post(
    "/login",
    operation_id="login",
    summary="Sign in",
    response_model=SignedIn,
    responses=refusals(400, 401, 408, 413, 415, 429, 503),
)
async def login(
    resources: Opened, client: Annotated[Client, Depends(_client)], body: Login
) -> SignedIn | Response:
    """A session ends a week after it was last used, and 30 days after it began, unless the
    platform's settings say otherwise. After five failures the wait grows with each further one
    (429, `Retry-After`), whether the username exists or not."""
    stores = resources.signing_in
    try:
        made = await signing_in.sign_in(stores, body.username, body.password, client)
    except SignInFailed as failed:
        reply = error_response(failed.status, str(failed))
        if failed.person is not None:
            # After the reply, whose time must not tell that this person exists.
            reply.background = BackgroundTask(
                signing_in.note, stores, failed.person, failed.status, client.address
            )
        return reply
    return SignedIn(
        token=made.token,
        user_id=made.session.user_id,
        role=made.member.role,
        session=_session(made.session, made.session.id),
    )


@router.get(
    "/me",
    operation_id="getMe",
    summary="Who makes this call",
    responses=refusals(400, 401, 403, 429, 503),
)
async def get_me(caller: Caller) -> Me:
    """The key or person, and what they may do."""
    principal = caller.principal
    member = sessions.member_of(caller.account, principal.id)
    return Me(
        kind=principal.kind,
        id=principal.id,
        name=principal.name,
        user_id=caller.user_id,
        role=member.role if member else None,
        scopes=sorted(principal.scopes),
        session_id=principal.session_id,
    )


@router.post(
    "/me/password",
    operation_id="changePassword",
    summary="Change one's own password",
    responses=refusals(400, 401, 403, 404, 408, 409, 413, 415, 429, 503),
)
async def change_password(resources: Opened, caller: Caller, body: ChangePassword) -> Result:
    """Ends all of one's sessions but this one. 403 for a wrong old password and for a key."""
    await signing_in.change_password(
        resources.signing_in, caller.user_id, caller.principal, body.password, body.new_password
    )
    return Result(result="changed")


@router.post(
    "/me/logout",
    operation_id="logout",
    summary="Sign out",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def logout(resources: Opened, caller: Caller) -> Result:
    """Ends the session that this call is made with. 403 for a key, which has none."""
    signing_in.require_person(caller.principal)
    await sessions.end_session(
        resources.sessions, caller.user_id, caller.principal, caller.principal.session_id
    )
    return Result(result="signed out")


@router.get(
    "/sessions",
    operation_id="listSessions",
    summary="List sessions",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_sessions(
    resources: Opened,
    caller: Caller,
    person_id: Annotated[
        str, Query(max_length=64, description="Of this person only; needs `admin` for others.")
    ] = "",
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = "",
) -> SessionPage:
    """One's own, or those of all of the account for who has `admin`; the newest first."""
    page = await sessions.list_sessions(
        resources.sessions,
        caller.user_id,
        caller.principal,
        person_id=person_id,
        limit=limit,
        cursor=cursor,
    )
    current = caller.principal.session_id
    return SessionPage(items=[_session(each, current) for each in page.items], next=page.next)


@router.delete(
    "/sessions/{sessionid}",
    operation_id="endSession",
    summary="End a session",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def end_session(
    resources: Opened,
    caller: Caller,
    sessionid: Annotated[
        str,
        Path(
            description="The SESSION's `id`.",
            max_length=64,
            examples=["0f1e2d3c4b5a69788796a5b4c3d2e1f0"],
        ),
    ],
) -> Result:
    """One's own, or anybody's of the account for who has `admin`; its token works no longer."""
    await sessions.end_session(resources.sessions, caller.user_id, caller.principal, sessionid)
    return Result(result="ended")


def _session(session: StoredSession, current: str) -> Session:
    return Session(
        id=session.id,
        person_id=session.person_id,
        username=session.username,
        created_at=session.created_at,
        seen_at=session.seen_at,
        ends_at=sessions.ends_at(session),
        address=session.address,
        agent=session.agent,
        current=session.id == current,
    )
