"""People of an account, their roles, and inviting them."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Path, Request, Response

from services.api.entities.people import (
    Accepted,
    AcceptInvitation,
    CreateInvitation,
    Invitation,
    NewInvitation,
    Person,
    UpdatePerson,
)
from services.api.logic import invitations, people
from services.api.logic.audit import Act, Actor, record
from services.api.routes.dependencies import Caller, Opened, client_address
from services.api.routes.errors import refusals
from services.api.routes.etags import IfMatch, set_etag
from services.api.routes.join import link_of
from services.api.routes.location import set_location
from services.api.routes.router import customer_router, public_router
from shared.schemas import accounts
from shared.schemas.contract import Result

MADE = 201

router = customer_router("people")
public = public_router("people")


def person_id(
    personid: Annotated[
        str,
        Path(
            description="The PERSON's `id`.",
            max_length=64,
            examples=["5e884898da28047151d0e56f8dc62927"],
        ),
    ],
) -> str:
    """Any text: one that is no person's is found nowhere."""
    return personid


PersonId = Annotated[str, Depends(person_id)]


@router.get(
    "/people",
    operation_id="listPeople",
    summary="List the account's people",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_people(caller: Caller) -> list[Person]:
    """Everybody who may sign in to this account, by username; at most 100."""
    members = sorted(caller.account.members, key=lambda each: each.username.lower())
    return [_person(each) for each in members]


@router.get(
    "/people/{personid}",
    operation_id="getPerson",
    summary="One person",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def get_person(response: Response, caller: Caller, person_id: PersonId) -> Person:
    """With an `ETag` for changing the role."""
    member = people.find_member(caller.account, person_id)
    set_etag(response, people.version_of(member))
    return _person(member)


@router.patch(
    "/people/{personid}",
    operation_id="updatePerson",
    summary="Change a person's role",
    responses=refusals(400, 401, 403, 404, 408, 409, 412, 413, 415, 429, 503),
)
async def update_person(
    *,
    response: Response,
    resources: Opened,
    caller: Caller,
    person_id: PersonId,
    body: UpdatePerson,
    if_match: IfMatch,
) -> Person:
    """In force with their next call. Open invitations of who is no owner any more are deleted.
    409 where nobody could manage the account any more."""
    member = await people.change_role(
        resources.accounts,
        caller.user_id,
        person_id,
        body.role,
        if_match=if_match,
        by=caller.principal,
    )
    set_etag(response, people.version_of(member))
    return _person(member)


@router.delete(
    "/people/{personid}",
    operation_id="removePerson",
    summary="Remove a person",
    responses=refusals(400, 401, 403, 404, 409, 412, 429, 503),
)
async def remove_person(
    resources: Opened, caller: Caller, person_id: PersonId, if_match: IfMatch
) -> Result:
    """In force with their next call; their sessions and open invitations end, and their username
    is free again. API keys that they made are the account's and stay, with `created_by_gone`:
    renew those of which they may have a copy. 409 where nobody could manage the account any
    more."""
    await people.remove_person(
        resources.accounts,
        resources.people,
        resources.sessions,
        user_id=caller.user_id,
        person_id=person_id,
        if_match=if_match,
    )
    return Result(result="removed")


@router.get(
    "/invitations",
    operation_id="listInvitations",
    summary="List open invitations",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_invitations(caller: Caller) -> list[Invitation]:
    """Those that still work, the newest first; at most 100. Their links cannot be shown again."""
    found = invitations.open_invitations(caller.account)
    return [Invitation(**_invitation(each)) for each in found]


@router.post(
    "/invitations",
    operation_id="createInvitation",
    summary="Invite a person",
    status_code=MADE,
    responses=refusals(400, 401, 403, 408, 409, 413, 415, 429, 503),
)
async def create_invitation(
    request: Request,
    response: Response,
    resources: Opened,
    caller: Caller,
    body: CreateInvitation,
) -> NewInvitation:
    """A link that works once. Give it to the person yourself: it is not sent to anybody."""
    made = await invitations.create_invitation(
        resources.accounts,
        caller.user_id,
        role=body.role,
        note=body.note,
        created_by=caller.principal,
        life=timedelta(seconds=body.expires_in_seconds),
    )
    set_location(request, response, f"/invitations/{made.invitation.id}")
    return NewInvitation(
        **_invitation(made.invitation),
        token=made.token,
        link=link_of(request, resources.settings.public_url, made.token),
    )


@router.delete(
    "/invitations/{invitationid}",
    operation_id="deleteInvitation",
    summary="Take an invitation back",
    responses=refusals(400, 401, 403, 404, 409, 429, 503),
)
async def delete_invitation(
    resources: Opened,
    caller: Caller,
    invitationid: Annotated[
        str,
        Path(description="The INVITATION's `id`.", max_length=64, examples=["i8c1f0a9b7d6e5432"]),
    ],
) -> Result:
    """Its link stops working at once."""
    await invitations.delete_invitation(resources.accounts, caller.user_id, invitationid)
    return Result(result="deleted")


@public.post(
    "/invitations/accept",
    operation_id="acceptInvitation",
    summary="Accept an invitation",
    status_code=MADE,
    responses=refusals(400, 404, 408, 409, 413, 415, 429, 503),
)
async def accept_invitation(
    request: Request, response: Response, resources: Opened, body: AcceptInvitation
) -> Accepted:
    """Join the account with a username and a password of one's own choice; no key is needed.
    404 for an invitation that was used or deleted or has expired, 409 for a username that is
    taken."""
    joined = await invitations.accept_invitation(
        resources.accounts,
        resources.people,
        resources.passwords,
        token=body.token,
        username=body.username,
        password=body.password,
    )
    member = joined.member
    act = Act(
        user_id=joined.user_id,
        actor=Actor("person", member.person_id, member.username),
        operation="acceptInvitation",
        status=MADE,
        address=client_address(request),
    )
    await record(resources.audit, resources.timeline, act)
    response.headers["Location"] = f"/api/user/{joined.user_id}/-/people/{member.person_id}"
    return Accepted(user_id=joined.user_id, person=_person(member))


def _person(member: accounts.Member) -> Person:
    return Person(
        id=member.person_id,
        username=member.username,
        role=member.role,
        joined_at=member.joined_at,
    )


def _invitation(invitation: accounts.Invitation) -> dict[str, object]:
    return invitation.model_dump(exclude={"sha256"})
