"""`mymote account …`, `mymote queue …`: the account's profile, and its queue."""

from typing import Annotated

import typer

from mymote import output
from mymote.calling import calling
from mymote.options import AsJson, IfMatch, Yes, agreed, if_match, some

app = typer.Typer(no_args_is_help=True, help="The account's profile.")
queue_app = typer.Typer(no_args_is_help=True, help="The queue on which the account's data arrives.")


@app.command("show")
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Who the account is."""
    with calling(context) as api:
        found = api.call("getAccount")
    output.shown(found, as_json=as_json)


@app.command("edit")
def edit(
    context: typer.Context,
    *,
    username: Annotated[str | None, typer.Option(help="The account's name.")] = None,
    company: Annotated[str | None, typer.Option(help='"" clears it.')] = None,
    email: Annotated[str | None, typer.Option(help='"" clears it.')] = None,
    telephone: Annotated[str | None, typer.Option(help='"" clears it.')] = None,
    etag: IfMatch = "",
    as_json: AsJson = False,
) -> None:
    """Change the account's profile."""
    change = some(username=username, company=company, email=email, telephone=telephone)
    with calling(context) as api:
        changed = api.call("updateAccount", json=change, headers=if_match(etag))
    output.shown(changed, as_json=as_json, said="Changed.")


@queue_app.command("show")
def show_queue(context: typer.Context, as_json: AsJson = False) -> None:
    """How much waits, and the connection string (for keys with the scope admin)."""
    with calling(context) as api:
        found = api.call("getQueue")
    output.shown(found, as_json=as_json)


@queue_app.command("renew")
def renew(
    context: typer.Context,
    *,
    end_previous: Annotated[
        bool,
        typer.Option(
            "--end-previous",
            help="End the one in use at once; else it is valid until the next renewal.",
        ),
    ] = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Make a new connection string; the one in use stays valid until the next renewal."""
    effect = "ends the one in use" if end_previous else "ends the one before the one in use"
    with calling(context) as api:
        agreed(f"Renew the queue's connection string? That {effect}.", yes)
        found = api.call("renewQueueKey", json={"end_previous": end_previous})
    output.shown(found, as_json=as_json, said="Renewed.")
