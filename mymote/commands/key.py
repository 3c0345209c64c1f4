"""`mymote key …`: the account's API keys."""

from enum import StrEnum
from typing import Annotated

import typer

from mymote import complete, output, text
from mymote.calling import calling
from mymote.options import AsJson, IfMatch, Yes, agreed, ahead, if_match, seconds, some
from mymote.output import Column, Entity

app = typer.Typer(no_args_is_help=True, help="API keys: make, renew with an overlap, revoke.")


class Scope(StrEnum):
    """What a key may do; each includes read, admin includes all."""

    READ = "read"
    WRITE = "write"
    OTA = "ota"
    ADMIN = "admin"


KeyId = Annotated[
    str,
    typer.Argument(
        metavar="KEY_ID", help="As `key list` shows it.", autocompletion=complete.api_keys
    ),
]
Expires = Annotated[
    str | None,
    typer.Option(metavar="TIME", help='When it ends: 90d from now, 2027-01-01; "" for never.'),
]
Scopes = Annotated[list[Scope], typer.Option("--scope", help="Repeatable; read if none.")]


def new_key(name: str, scopes: list[Scope], expires: str | None) -> dict[str, object]:
    """What makes a key. Raises Failure."""
    return some(
        name=name,
        scopes=[scope.value for scope in scopes or [Scope.READ]],
        expires_at=ahead(expires, "--expires") if expires else None,
    )


def _used(key: Entity) -> str:
    return text.moment(key["last_use"]["at"]) if key["last_use"] else "never"


def _maker(key: Entity) -> str:
    name: str = key["created_by"]
    return f"{name} (gone)" if key["created_by_gone"] else name


KEYS = (
    Column("KEY ID", "id", keep=True),
    Column("NAME", "name", cut=8),
    Column("SCOPES", "scopes", cut=8),
    Column("VALID", "valid"),
    Column("LAST USED", _used),
    Column("EXPIRES", lambda key: text.moment(key["expires_at"]) or "never"),
    Column("BY", _maker, cut=8),
)
CALLS = (
    Column("CALL", "operation"),
    Column("TIMES", "count", right=True),
    Column("LAST", output.time_of("at")),
)


@app.command("list")
def list_keys(context: typer.Context, as_json: AsJson = False) -> None:
    """All keys, what they may do and when they were last used."""
    with calling(context) as api:
        found = api.call("listKeys")
    output.listed(found, KEYS, "No keys.", as_json=as_json)


@app.command("show")
def show(context: typer.Context, key_id: KeyId, as_json: AsJson = False) -> None:
    """One key, and which calls are made with it: what would break without it."""
    with calling(context) as api:
        found = api.call("getKey", keyid=key_id)
    if as_json:
        output.json_value(found)
        return
    use = found.pop("last_use")
    output.fields(output.times(found))
    if not use:
        output.note("It was never used.")
        return
    print(f"\nLast used {text.moment(use['at'])} from {use['address']}:")
    output.table(use["operations"], CALLS, "")


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What it is for.")],
    *,
    scopes: Scopes = [],  # noqa: B006 - Typer copies it
    expires: Expires = None,
    as_json: AsJson = False,
) -> None:
    """Make a key; it is shown this once.

    Example: mymote key create "billing server" --scope read --expires 365d
    """
    with calling(context) as api:
        made = api.call("createKey", json=new_key(name, scopes, expires))
    output.shown(made, as_json=as_json, said="Keep the api_key now; it cannot be shown again.")


@app.command("edit")
def edit(
    context: typer.Context,
    key_id: KeyId,
    *,
    name: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    scopes: Annotated[
        list[Scope], typer.Option("--scope", help="All it may do from now on. Repeatable.")
    ] = [],  # noqa: B006
    expires: Expires = None,
    etag: IfMatch = "",
    as_json: AsJson = False,
) -> None:
    """Change a key's name, scopes or expiry.

    Example: mymote key edit 4f1c08be2a9d7763 --scope read --scope write --expires 90d
    """
    change: dict[str, object] = {}
    if expires is not None:
        change["expires_at"] = ahead(expires, "--expires") or None
    if not change or name is not None or scopes:
        change |= some(name=name, scopes=[scope.value for scope in scopes] or None)
    with calling(context) as api:
        changed = api.call("updateKey", keyid=key_id, json=change, headers=if_match(etag))
    output.shown(changed, as_json=as_json, said="Changed.")


@app.command("renew")
def renew(
    context: typer.Context,
    key_id: KeyId,
    *,
    overlap: Annotated[
        str,
        typer.Option(
            metavar="DURATION", help="How long the old one stays valid: 0 to 90d, such as 7d."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Make a new key with the same name and scopes; the old one ends after the overlap.

    Example: mymote key renew 4f1c08be2a9d7763 --overlap 7d
    """
    asked = {"overlap_seconds": seconds(overlap, "--overlap")}
    with calling(context) as api:
        made = api.call("renewKey", keyid=key_id, json=asked)
    output.shown(made, as_json=as_json, said="Keep the api_key now; it cannot be shown again.")


@app.command("revoke")
def revoke(
    context: typer.Context, key_id: KeyId, *, yes: Yes = False, as_json: AsJson = False
) -> None:
    """End a key at once; `key show` tells what is done with it."""
    with calling(context) as api:
        agreed(f"Revoke the key {key_id} at once?", yes)
        reply = api.call("revokeKey", keyid=key_id)
    output.done(reply, "Revoked.", as_json=as_json)
