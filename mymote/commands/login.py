"""Signing in and out: `login`, `logout`, `join`, `whoami`, `password`, `profile …`."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from mymote import complete, output, profiles, text
from mymote.calling import api_of, calling, profile_of
from mymote.failures import UNAUTHORIZED, Failure, usage
from mymote.options import AsJson, asked, secret
from mymote.output import Column
from mymote.profiles import Place

profile_app = typer.Typer(no_args_is_help=True, help="Several accounts or installations.")

DEFAULT, DEMO = "default", "demo"
LOCAL = ("localhost", "::1")
PROFILES = (
    Column("PROFILE", "name", keep=True),
    Column("IN USE", "current"),
    Column("URL", "url"),
    Column("USER ID", "user_id", keep=True),
    Column("AS", "who"),
)

Url = Annotated[str, typer.Option(help="Of the installation: https://mymote.example.com")]
CaFile = Annotated[
    str,
    typer.Option(metavar="FILE", help="Certificates (PEM) to trust besides the system's."),
]


def login(
    context: typer.Context,
    *,
    url: Url = "",
    user_id: Annotated[str, typer.Option(help="The account's, to sign in with an API key.")] = "",
    username: Annotated[str, typer.Option(help="A person's, to sign in with a password.")] = "",
    from_stdin: Annotated[
        bool,
        typer.Option(
            "--secret-stdin",
            help="Read the key or password from stdin; else it is asked for, or taken from "
            "MYMOTE_API_KEY or MYMOTE_PASSWORD.",
        ),
    ] = False,
    ca_file: CaFile = "",
    demo: Annotated[
        bool, typer.Option("--demo", help="As the account that `make run` made in this folder.")
    ] = False,
) -> None:
    """Say where to call and as whom, once; it is checked and kept.

    An API key stays on this machine, in a file that only you can read, and never stands in a URL.

    Example: mymote login --url https://mymote.example.com --user-id u3f9c2d41a07be586
    """
    if demo and (url or user_id or username or from_stdin):
        raise usage("--demo knows the rest; leave it away.")
    if user_id and username:
        raise usage("Give --user-id for an API key, or --username for a password, not both.")
    if demo:
        _keep(_demo(), profile_of(context) or DEMO)
        return
    url = profiles.checked_url(url or asked("URL", "--url"))
    _warn(url)
    here = Place(url=url, user_id="", ca_file=_ca_file(ca_file))
    if not user_id and not username:
        username = asked(
            "Username (leave it empty to give an API key)", "--user-id or --username", default=""
        )
        user_id = "" if username else asked("User id of the account", "--user-id")
    if username:
        password = secret(from_stdin, "MYMOTE_PASSWORD", "Password")
        place = _session(here, username, password)
    else:
        api_key = secret(from_stdin, "MYMOTE_API_KEY", "API key")
        place = replace(here, user_id=user_id, api_key=api_key)
    _keep(place, profile_of(context) or DEFAULT)


def join(
    context: typer.Context,
    link: Annotated[
        str, typer.Argument(metavar="LINK", help="The invitation's; it is asked for.")
    ] = "",
    *,
    username: Annotated[str, typer.Option(help="The one you choose.")] = "",
    from_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password you choose from stdin.")
    ] = False,
    ca_file: CaFile = "",
) -> None:
    """Accept an invitation: choose a username and a password, and be signed in.

    Example: mymote join "https://mymote.example.com/join#u3f9c2d41…" --username grace
    """
    url, _, token = (link or asked("Link", "the link")).partition("#")
    parts = urlsplit(url)
    if not token or not parts.netloc:
        raise usage("The link is https://…#…; give it whole, in quotes.")
    here = Place(url=f"{parts.scheme}://{parts.netloc}", user_id="", ca_file=_ca_file(ca_file))
    username = username or asked("Username", "--username")
    password = secret(from_stdin, "MYMOTE_PASSWORD", "Password", twice=True)
    with api_of(here) as api:
        api.call(
            "acceptInvitation", json={"token": token, "username": username, "password": password}
        )
    _keep(_session(here, username, password), profile_of(context) or DEFAULT)


def logout(context: typer.Context) -> None:
    """Forget the profile in use, and end its session."""
    kept = profiles.load()
    name = profile_of(context) or os.environ.get("MYMOTE_PROFILE") or kept.current
    place = kept.places.pop(name, None)
    if place is None:
        raise usage("Nobody is signed in.")
    if place.token:
        try:
            with api_of(place) as api:
                api.call("logout", json={})
        except Failure as failure:
            if failure.status != UNAUTHORIZED:
                raise
    if kept.current == name:
        kept.current = next(iter(kept.places), "") if len(kept.places) == 1 else ""
    profiles.save(kept)
    then = f" In use now: '{kept.current}'." if kept.current else ""
    output.note(f"Signed out; the profile '{name}' is forgotten.{then}")
    if place.api_key:
        output.note("Its API key is still valid; `mymote key revoke` ends one.")


def whoami(context: typer.Context, as_json: AsJson = False) -> None:
    """Who you are for the api, and what you may do."""
    with calling(context) as api:
        found = {"url": api.place.url, **api.call("getMe")}
    output.shown(found, as_json=as_json)


def password(
    context: typer.Context,
    *,
    from_stdin: Annotated[
        bool,
        typer.Option("--stdin", help="Read the present and the new password, a line each."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Change your password; your other sessions end."""
    with calling(context) as api:
        present = secret(from_stdin, "MYMOTE_PASSWORD", "Present password")
        new = secret(from_stdin, "MYMOTE_NEW_PASSWORD", "New password", twice=True)
        reply = api.call("changePassword", json={"password": present, "new_password": new})
    output.done(reply, "Changed; your other sessions have ended.", as_json=as_json)


@profile_app.command("list")
def list_profiles(as_json: AsJson = False) -> None:
    """All profiles of this machine, without their secrets."""
    kept = profiles.load()
    rows = [
        {
            "name": name,
            "current": name == kept.current,
            "url": place.url,
            "user_id": place.user_id,
            "who": place.username or "API key",
        }
        for name, place in kept.places.items()
    ]
    output.listed(rows, PROFILES, "No profiles; `mymote login` makes one.", as_json=as_json)


@profile_app.command("use")
def use_profile(
    name: Annotated[str, typer.Argument(autocompletion=complete.profile_names)],
) -> None:
    """Have commands without --profile use this one."""
    kept = profiles.load()
    if name not in kept.places:
        raise usage(f"There is no profile '{name}'; `mymote profile list` shows them.")
    kept.current = name
    profiles.save(kept)
    output.note(f"In use: '{name}'.")


def _keep(place: Place, name: str) -> None:
    """Check it, and keep it as the profile in use."""
    with api_of(place) as api:
        me: dict[str, Any] = api.call("getMe")
    kept = profiles.load()
    kept.places[name] = place
    kept.current = name
    profiles.save(kept)
    who = f"the API key '{me['name']}'" if me["kind"] == "key" else me["name"]
    output.note(
        f"Signed in to {place.url} as {text.line(who)} ({', '.join(me['scopes'])}) of the "
        f"account {place.user_id}.\nKept as the profile '{name}' in {profiles.path()}."
    )
    if profiles.from_environment():
        output.note("MYMOTE_URL and its like are set, and go before every profile.")


def _session(here: Place, username: str, password: str) -> Place:
    with api_of(here) as api:
        made = api.call("login", json={"username": username, "password": password})
    return replace(here, user_id=made["user_id"], token=made["token"], username=username)


def _demo() -> Place:
    file = Path(os.environ.get("MYMOTE_STACK_STATE_DIR", ".run"), "demo.json")
    try:
        made = json.loads(file.read_text("utf-8"))
        return Place(made["api_url"], made["user_id"], made["api_key"], ca_file=made["ca_file"])
    except FileNotFoundError:
        raise usage(f"There is no {file} here: `make run` makes it.") from None
    except (OSError, ValueError, KeyError, TypeError):
        raise usage(f"{file} cannot be read; `make run` makes it anew.") from None


def _ca_file(given: str) -> str:
    """Absolute, since commands run in other folders."""
    given = given or os.environ.get("MYMOTE_CA_FILE", "")
    return str(Path(given).resolve()) if given else ""


def _warn(url: str) -> None:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http" and host not in LOCAL and not host.startswith("127."):
        output.note(f"Beware: {url} is not encrypted, so others on the way can read the key.")
