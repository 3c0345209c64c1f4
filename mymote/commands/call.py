"""`mymote call`: any call of the REST API, for what has no command of its own."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from mymote import output, text
from mymote.calling import calling
from mymote.failures import usage

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD")


def call(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="GET, POST, PATCH, DELETE …")],
    path: Annotated[
        str,
        typer.Argument(help="What comes after the account and key, such as /devices; or /api/…"),
    ],
    *,
    data: Annotated[
        str,
        typer.Option("--data", "-d", help="The body; @FILE is a file's content, @- is stdin."),
    ] = "",
    type_: Annotated[
        str, typer.Option("--type", metavar="TYPE", help="The body's Content-Type.")
    ] = "application/json",
    query: Annotated[
        list[str], typer.Option("--query", "-q", metavar="NAME=VALUE", help="Repeatable.")
    ] = [],  # noqa: B006 - Typer copies it
    header: Annotated[
        list[str], typer.Option("--header", "-H", metavar="NAME:VALUE", help="Repeatable.")
    ] = [],  # noqa: B006
    include: Annotated[
        bool, typer.Option("--include", "-i", help="Show the status and the headers as well.")
    ] = False,
) -> None:
    """Make any call of the REST API; /docs of the installation lists them.

    Example: mymote call GET /notifications -q level=3 -q limit=5
    """
    from mymote.api import Body  # noqa: PLC0415

    method = method.upper()
    if method not in METHODS:
        raise usage(f"The method is one of {', '.join(METHODS)}.")
    if not path.startswith("/"):
        raise usage("The path begins with /, such as /devices.")
    with calling(context) as api:
        response = api.send(
            method,
            api.absolute(path),
            query=_pairs(query, "=", "--query") or None,
            headers=_pairs(header, ":", "--header"),
            body=Body(_content(data), type_) if data else None,
        )
    if include:
        print(f"{response.status_code} {response.reason_phrase}")
        for name, value in response.headers.items():
            print(f"{name}: {text.escaped(value)}")
        print()
    _show(response.content)


def _pairs(given: list[str], between: str, option: str) -> dict[str, str]:
    pairs = {}
    for each in given:
        name, found, value = each.partition(between)
        if not found or not name:
            raise usage(f"{option} takes NAME{between}VALUE.")
        pairs[name.strip()] = value.strip()
    return pairs


def _content(data: str) -> bytes:
    if not data.startswith("@"):
        return data.encode()
    try:
        return sys.stdin.buffer.read() if data == "@-" else Path(data[1:]).read_bytes()
    except OSError as error:
        raise usage(f"{data[1:]} cannot be read ({error.strerror}).") from None


def _show(content: bytes) -> None:
    """As it came; in a terminal, JSON with line breaks."""
    if sys.stdout.isatty():
        try:
            output.json_value(json.loads(content))
            return
        except ValueError:
            pass
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    if content and not content.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
