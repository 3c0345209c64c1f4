"""`person` commands."""

from dataclasses import dataclass
from typing import Annotated

import typer

from services.api.logic.audit import OPERATOR, Act, record
from services.api.logic.ids import check_user_id
from services.api.logic.invitations import Invited, create_invitation
from services.api.logic.people import person_id_of
from services.api.logic.signing_in import reset_password
from services.api.operator.output import Row, print_fields, print_rows
from services.api.operator.runner import AsJson, run
from services.api.resources import Resources
from shared.errors import NotFound
from shared.schemas.accounts import Role

person_app = typer.Typer(no_args_is_help=True, help="Those who sign in to an account.")

UserId = Annotated[str, typer.Option(help="The account's user id.")]


@dataclass(frozen=True)
class Reset:
    """A person's new password."""

    user_id: str
    password: str


@person_app.command("invite")
def person_invite(
    user_id: UserId,
    role: Annotated[Role, typer.Option(help="What they may do in the account.")] = Role.OWNER,
    note: Annotated[str, typer.Option(help="For whom it is.")] = "",
    as_json: AsJson = False,
) -> None:
    """Invite somebody into an account, and show the link: this once, it is not stored.

    The link works once, for seven days. Without MYMOTE_PUBLIC_URL it is the part behind the
    address under which people reach the api.

    Example: mymote-operator person invite --user-id u3f9c2d41a07be586 --role owner
    """

    async def work(resources: Resources) -> tuple[Invited, str]:
        made = await create_invitation(
            resources.accounts, check_user_id(user_id), role=role, note=note, created_by=None
        )
        await _note(resources, user_id, "createInvitation", 201, {"made": made.invitation.id})
        return made, resources.settings.public_url

    made, public_url = run(work, as_json=as_json)
    fields: dict[str, object] = {
        "user_id": user_id,
        "invitation_id": made.invitation.id,
        "role": role.value,
        "expires_at": made.invitation.expires_at.isoformat(timespec="seconds"),
        "token": made.token,
        "link": f"{public_url.rstrip('/')}/join#{made.token}",
    }
    print_fields(fields, as_json=as_json, said="Invited. The link cannot be shown again.")


@person_app.command("list")
def person_list(user_id: UserId, as_json: AsJson = False) -> None:
    """Those who may sign in to an account, and as what.

    Example: mymote-operator person list --user-id u3f9c2d41a07be586
    """

    async def work(resources: Resources) -> list[Row]:
        account = await resources.accounts.get(check_user_id(user_id))
        if account is None:
            raise NotFound("There is no account of this user id.")
        return [
            {
                "username": member.username,
                "role": member.role.value,
                "joined_at": member.joined_at.isoformat(timespec="seconds"),
            }
            for member in account.members
        ]

    print_rows(
        run(work, as_json=as_json),
        as_json=as_json,
        empty="Nobody yet. Invite somebody: mymote-operator person invite --user-id USER_ID",
    )


@person_app.command("reset-password")
def person_reset_password(
    username: Annotated[str, typer.Option(help="Whose.")], as_json: AsJson = False
) -> None:
    """Give a person a new password, and end their sessions. It is shown this once.

    Example: mymote-operator person reset-password --username ada@example.com
    """

    async def work(resources: Resources) -> Reset:
        user_id, password = await reset_password(resources.signing_in, username)
        person = {"personid": person_id_of(username)}
        await _note(resources, user_id, "resetPassword", 200, person)
        return Reset(user_id, password)

    made = run(work, as_json=as_json)
    print_fields(
        {"user_id": made.user_id, "username": username, "password": made.password},
        as_json=as_json,
        said="The password was changed; they should change it once they have signed in.",
    )


async def _note(
    resources: Resources, user_id: str, operation: str, status: int, targets: dict[str, str]
) -> None:
    """The account's owners see what the operator did."""
    act = Act(user_id, OPERATOR, operation, status, targets=targets)
    await record(resources.audit, resources.timeline, act)
