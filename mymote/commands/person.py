"""`mymote person …`, `invitation …`, `session …`, `audit`: who may sign in, and who did what."""

from enum import StrEnum
from typing import Annotated

import typer

from mymote import names, output
from mymote.calling import calling
from mymote.options import (
    AsJson,
    Everything,
    IfMatch,
    Limit,
    OfDevice,
    Since,
    Until,
    Yes,
    agreed,
    bound,
    if_match,
    point,
    seconds,
)
from mymote.output import Column

person_app = typer.Typer(no_args_is_help=True, help="People who sign in to the account.")
invitation_app = typer.Typer(no_args_is_help=True, help="Links by which people join the account.")
session_app = typer.Typer(no_args_is_help=True, help="Where people are signed in.")


class Role(StrEnum):
    """What a person is within the account."""

    OWNER = "owner"
    OPERATOR = "operator"
    VIEWER = "viewer"


PEOPLE = (
    Column("PERSON ID", "id", keep=True),
    Column("USERNAME", "username", cut=8),
    Column("ROLE", "role"),
    Column("JOINED", output.time_of("joined_at")),
)
INVITATIONS = (
    Column("INVITATION ID", "id", keep=True),
    Column("ROLE", "role"),
    Column("NOTE", "note", cut=8),
    Column("EXPIRES", output.time_of("expires_at")),
    Column("BY", "created_by", cut=8),
)
SESSIONS = (
    Column("SESSION ID", "id", keep=True),
    Column("USERNAME", "username", cut=8),
    Column("THIS ONE", "current"),
    Column("SEEN", output.time_of("seen_at")),
    Column("FROM", "address"),
    Column("ENDS", output.time_of("ends_at")),
    Column("AGENT", "agent", cut=8),
)
AUDIT = (
    Column("TIME", output.time_of("at")),
    Column("WHO", "actor_name", cut=8),
    Column("WHAT", "operation"),
    Column("STATUS", "status", right=True),
    Column("FROM", "address"),
    Column("TO", lambda record: record["device_ids"] or list(record["targets"].values()), cut=8),
    Column("WHY", "reason", below=True),
)

PersonId = Annotated[str, typer.Argument(metavar="PERSON_ID", help="As `person list` shows it.")]


@person_app.command("list")
def list_people(context: typer.Context, as_json: AsJson = False) -> None:
    """Everybody who may sign in."""
    with calling(context) as api:
        found = api.call("listPeople")
    empty = "Nobody yet; `mymote invitation create` invites somebody."
    output.listed(found, PEOPLE, empty, as_json=as_json)


@person_app.command("show")
def show_person(context: typer.Context, person_id: PersonId, as_json: AsJson = False) -> None:
    """One person."""
    with calling(context) as api:
        found = api.call("getPerson", personid=person_id)
    output.shown(found, as_json=as_json)


@person_app.command("edit")
def edit_person(
    context: typer.Context,
    person_id: PersonId,
    *,
    role: Annotated[Role, typer.Option(help="From now on.")],
    etag: IfMatch = "",
    as_json: AsJson = False,
) -> None:
    """Give a person another role.

    Example: mymote person edit 2a97516c354b68848cdbd8f54a226a0a --role viewer
    """
    with calling(context) as api:
        changed = api.call(
            "updatePerson", personid=person_id, json={"role": role.value}, headers=if_match(etag)
        )
    output.shown(changed, as_json=as_json, said="Changed.")


@person_app.command("remove")
def remove_person(
    context: typer.Context, person_id: PersonId, *, yes: Yes = False, as_json: AsJson = False
) -> None:
    """Take a person out of the account; their sessions end at once."""
    with calling(context) as api:
        agreed(f"Remove the person {person_id}?", yes)
        reply = api.call("removePerson", personid=person_id)
    said = "Removed. API keys stay: `mymote key list` shows which of them such a person made."
    output.done(reply, said, as_json=as_json)


@invitation_app.command("list")
def list_invitations(context: typer.Context, as_json: AsJson = False) -> None:
    """Invitations that nobody has accepted yet."""
    with calling(context) as api:
        found = api.call("listInvitations")
    output.listed(found, INVITATIONS, "No open invitations.", as_json=as_json)


@invitation_app.command("create")
def create_invitation(
    context: typer.Context,
    *,
    role: Annotated[Role, typer.Option(help="What the person will be.")],
    note: Annotated[str, typer.Option(help="For whom it is.")] = "",
    expires: Annotated[
        str, typer.Option(metavar="DURATION", help="How long it works: 1h to 30d.")
    ] = "7d",
    as_json: AsJson = False,
) -> None:
    """Make a link by which one person may join; it is shown this once.

    Example: mymote invitation create --role operator --note "Grace, night shift"
    """
    asked = {
        "role": role.value,
        "note": note,
        "expires_in_seconds": seconds(expires, "--expires"),
    }
    with calling(context) as api:
        made = api.call("createInvitation", json=asked)
    output.shown(made, as_json=as_json, said="Send them the link; it cannot be shown again.")


@invitation_app.command("delete")
def delete_invitation(
    context: typer.Context,
    invitation_id: Annotated[
        str, typer.Argument(metavar="INVITATION_ID", help="As `invitation list` shows it.")
    ],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Withdraw an invitation; its link stops working."""
    with calling(context) as api:
        agreed(f"Withdraw the invitation {invitation_id}?", yes)
        reply = api.call("deleteInvitation", invitationid=invitation_id)
    output.done(reply, "Withdrawn.", as_json=as_json)


@session_app.command("list")
def list_sessions(
    context: typer.Context,
    *,
    person: Annotated[str, typer.Option(metavar="PERSON_ID", help="Of this person only.")] = "",
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Where you are signed in; an owner, and a key with the scope admin, sees everybody's."""
    with calling(context) as api:
        most = bound(limit, everything)
        found = api.each("listSessions", query={"person_id": person}, limit=most)
        output.listed(found, SESSIONS, "Nobody is signed in.", most, as_json=as_json)


@session_app.command("end")
def end_session(
    context: typer.Context,
    session_id: Annotated[
        str, typer.Argument(metavar="SESSION_ID", help="As `session list` shows it.")
    ],
    *,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Sign somebody out."""
    with calling(context) as api:
        agreed(f"End the session {session_id}?", yes)
        reply = api.call("endSession", sessionid=session_id)
    output.done(reply, "Ended.", as_json=as_json)


def audit(
    context: typer.Context,
    *,
    actor: Annotated[str, typer.Option(help="By this key or person: its id.")] = "",
    operation: Annotated[str, typer.Option(help="This call only, such as rebootDevice.")] = "",
    device: OfDevice = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
    everything: Everything = False,
    as_json: AsJson = False,
) -> None:
    """Who did what, when and from where; newest first.

    Example: mymote audit --since 7d --operation rebootDevice
    """
    with calling(context) as api:
        query = {
            "actor": actor,
            "operation": operation,
            "device_id": names.device_id(api, device) if device else "",
            "since": point(since, "--since"),
            "until": point(until, "--until"),
        }
        most = bound(limit, everything)
        found = api.each("listAudit", query=query, limit=most)
        output.listed(found, AUDIT, "Nothing was done.", most, as_json=as_json)
