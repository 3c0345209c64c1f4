"""Every refusal has the ERROR body: in replies and in the OpenAPI document."""

from typing import Any

from fastapi import FastAPI, Request
from starlette.routing import compile_path

from shared import replies
from shared.schemas.contract import Error

_MEANING = {
    400: (
        "The request cannot be understood.",
        "A device id is 'X400_' followed by 40 lower-case hex digits.",
    ),
    401: (
        "Unknown account or wrong key; the answer is the same for both.",
        "Unknown user id or wrong API key; check both in your user profile.",
    ),
    403: (
        "Whoever calls may not do this.",
        "This needs the scope 'write'; this key has 'read'. Ask an owner of the account for more.",
    ),
    404: (
        "It does not exist, or belongs to another account.",
        "This account has no device of this id; GET .../devices lists those it has.",
    ),
    408: (
        "The body did not arrive in time.",
        "The body did not arrive in time; is its Content-Length right?",
    ),
    409: (
        "It contradicts what is there already.",
        "IoT Hub no longer knows this gateway; ask the platform's operator to register it.",
    ),
    412: (
        "It changed since it was read; see ETag.",
        "It changed in the meantime; read it again, and repeat the change with its new ETag.",
    ),
    413: ("The body is too large.", "The body is 65536 bytes at most; send less."),
    415: (
        "The body is of another type.",
        "Send the body with the header Content-Type: application/json.",
    ),
    429: (
        "A limit is reached; see Retry-After.",
        "These are more than 600 calls a minute; wait 5 s, as Retry-After says.",
    ),
    501: (
        "This installation does not have the part that would answer.",
        "This installation has no OTA service; apps and firmware cannot be changed or sent from "
        "here.",
    ),
    503: (
        "Something behind the api does not answer; see Retry-After.",
        "The database does not answer; try again in a few seconds.",
    ),
}

_PLAIN = {
    404: "There is nothing at this path; /docs lists the calls.",
    405: "This path does not take this method; /docs lists the calls.",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route: each status with its meaning and an example; where the call
    has words of its own for it, routes/openapi.py puts those in.

    The schema by name: FastAPI would build one for each "model", 650 times at every start.
    """
    schema = {"$ref": f"#/components/schemas/{Error.__name__}"}
    return {
        status: {
            "description": _MEANING[status][0],
            "content": {
                "application/json": {"example": {"error": _MEANING[status][1]}, "schema": schema}
            },
        }
        for status in statuses
    }


def add_error_handlers(app: FastAPI) -> None:
    """Whatever refuses, the reply has the ERROR body."""
    replies.add_error_handlers(app, _PLAIN, _allowed)


def _allowed(request: Request) -> list[str]:
    """The methods of the call's path, the most exact one; Starlette knows its first route's."""
    documented: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    path = request.scope["path"]
    matching = [each for each in documented if compile_path(each)[0].match(path)]
    if not matching:
        return ["GET", "HEAD"]  # pages and probes
    methods = [method.upper() for method in documented[min(matching, key=lambda p: p.count("{"))]]
    return [*methods, "HEAD"] if "GET" in methods else methods
