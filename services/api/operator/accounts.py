"""`account` and `group` commands."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer

from services.api.logic.accounts import create_account, create_group
from services.api.logic.customers import OperatorStores, make_key
from services.api.logic.ids import check_key_name, check_user_id, new_group_id, new_user_id
from services.api.operator.output import Row, print_fields, print_pages
from services.api.operator.runner import AsJson, run
from services.api.resources import Resources
from shared.errors import NotFound
from shared.schemas.accounts import Account, Scope
from shared.schemas.documents import GroupDocument

account_app = typer.Typer(no_args_is_help=True, help="Customers, their API keys and queues.")
group_app = typer.Typer(no_args_is_help=True, help="Groups of an account's devices.")

LIST_PAGE = 500

UserId = Annotated[str, typer.Option(help="The account's user id.")]


@dataclass(frozen=True)
class Created:
    """What `account create` prints."""

    fields: dict[str, object]
    is_new: bool


async def make_account(resources: Resources, *, user_id: str, username: str) -> Created:
    """An account with its queue and first API key."""
    made = await create_account(resources.making_accounts, user_id=user_id, username=username)
    fields: dict[str, object] = {
        "user_id": made.account.user_id,
        "username": made.account.username,
        "api_key": made.api_key,
        "queue_connection_string": made.queue_connection_string,
    }
    return Created(fields, is_new=bool(made.api_key))


@account_app.command("create")
def account_create(
    username: Annotated[str, typer.Option(help="The customer's name, for people.")],
    user_id: Annotated[str, typer.Option(help="1 to 50 of a-z, 0-9, '-'; made up if absent.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make an account with a queue, and show its API key: this once, it is not stored.

    Repeat it with the same --user-id after an interruption; an account that is complete is
    left as it is, and api_key is empty.

    Example: mymote-operator account create --username "Acme Ltd"
    """
    chosen = user_id or new_user_id()
    made = run(
        lambda resources: make_account(resources, user_id=chosen, username=username),
        as_json=as_json,
    )
    said = (
        "Account created. Keep the API key: it cannot be shown again."
        if made.is_new
        else "The account exists already; `account new-key` makes another API key."
    )
    print_fields(made.fields | {"created": made.is_new}, as_json=as_json, said=said)


@account_app.command("new-key")
def account_new_key(
    user_id: UserId,
    name: Annotated[str, typer.Option(help="What the key is for.")] = "operator",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What it may do; may be repeated. Default: admin.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make another API key for an account, where the first was lost. The others stay valid.

    Its owners see it in their audit log.

    Example: mymote-operator account new-key --user-id u3f9c2d41a07be586
    """

    async def work(resources: Resources) -> str:
        made = await make_key(
            OperatorStores(resources.accounts, resources.audit, resources.timeline),
            check_user_id(user_id),
            name=check_key_name(name),
            scopes=scope or [Scope.ADMIN],
            expires_at=None,
            now=datetime.now(UTC),
        )
        return made.secret

    key = run(work, as_json=as_json)
    print_fields(
        {"user_id": user_id, "api_key": key},
        as_json=as_json,
        said="Keep the API key: it cannot be shown again.",
    )


@account_app.command("list")
def account_list(as_json: AsJson = False) -> None:
    """Every account with its namespace and queue, as the database keeps them."""
    empty = "No accounts yet. Make one: mymote-operator account create --username NAME"
    run(
        lambda resources: print_pages(_account_pages(resources), as_json=as_json, empty=empty),
        as_json=as_json,
    )


@account_app.command("show")
def account_show(user_id: UserId, as_json: AsJson = False) -> None:
    """One account and the number of its devices.

    Example: mymote-operator account show --user-id u3f9c2d41a07be586
    """

    async def work(resources: Resources) -> Row:
        account = await resources.accounts.get(check_user_id(user_id))
        if account is None:
            raise NotFound("There is no account of this user id.")
        return {**_account_row(account), "devices": await resources.devices.count(user_id)}

    print_fields(run(work, as_json=as_json), as_json=as_json)


@group_app.command("create")
def group_create(
    *,
    user_id: UserId,
    name: Annotated[str, typer.Option(help="The group's name.")],
    group_id: Annotated[str, typer.Option(help="Made up if absent.")] = "",
    client_name: Annotated[str, typer.Option(help="Whose devices these are.")] = "",
    email: str = "",
    telephone: str = "",
    as_json: AsJson = False,
) -> None:
    """Make a group for an account's devices.

    Example: mymote-operator group create --user-id u3f9c2d41a07be586 --name "Boiler rooms"
    """
    group = GroupDocument(
        id=group_id or new_group_id(),
        user_id=user_id,
        name=name,
        client_name=client_name,
        email=email,
        telephone=telephone,
    )
    created = run(
        lambda resources: create_group(resources.accounts, resources.groups, group),
        as_json=as_json,
    )
    said = "Group created." if created else "A group of this id exists already; it was left as is."
    fields: dict[str, object] = {"user_id": user_id, "group_id": group.id, "created": created}
    print_fields(fields, as_json=as_json, said=said)


async def _account_pages(resources: Resources) -> AsyncIterator[list[dict[str, object]]]:
    cursor = ""
    while True:
        page = await resources.accounts.page(LIST_PAGE, cursor)
        yield [_account_row(account) for account in page.accounts]
        if not (cursor := page.next):
            return


def _account_row(account: Account) -> dict[str, object]:
    return {
        "user_id": account.user_id,
        "username": account.username,
        "servicebus_namespace": account.servicebus_namespace,
        "queue": account.queue,
        "api_keys": len(account.api_keys),
        "created_at": account.created_at.isoformat(timespec="seconds"),
    }
