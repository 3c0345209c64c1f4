"""Every refusal has the ERROR body: in replies and in the OpenAPI document."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from shared.errors import MyMoteError
from shared.schemas.contract import Error

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = "5"
RETRY_LATER = (429, 503)
SHOWN = 5  # problems of one request
NAME_SHOWN = 50  # characters

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
        "This needs the scope 'write'; the key has 'read'. Ask an owner of the account for more.",
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
    413: ("The body is too large.", "The body is 4096 bytes at most; send less."),
    415: (
        "The body is of another type.",
        "Send the body with the header Content-Type: application/json.",
    ),
    429: (
        "A limit is reached; see Retry-After.",
        "500 messages wait for this device already; try again when it is online, or cancel some.",
    ),
    501: (
        "This installation does not have the part that would answer.",
        "This installation has no OTA service; apps and firmware cannot be sent from here.",
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
    """The `responses` of a route: each status with its meaning and an example.

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


def error_response(
    status: int, sentence: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    """A reply with the ERROR body."""
    headers = dict(headers or {})
    if status in RETRY_LATER:
        headers.setdefault("Retry-After", RETRY_AFTER_SECONDS)
    return JSONResponse(Error(error=sentence).model_dump(), status_code=status, headers=headers)


def add_error_handlers(app: FastAPI) -> None:
    """Whatever refuses, the reply has the ERROR body."""
    app.add_exception_handler(MyMoteError, _refused)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, MyMoteError) or error.status == 500:
        raise error
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return error_response(error.status, str(error), headers)


async def _http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    sentence = _PLAIN.get(error.status_code, str(error.detail))
    headers = dict(error.headers) if error.headers else {}
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
    return error_response(error.status_code, sentence, headers)


def _allowed(request: Request) -> list[str]:
    """The methods of the call's path, the most exact one; Starlette knows its first route's."""
    documented: dict[str, dict[str, Any]] = request.app.openapi()["paths"]
    path = request.scope["path"]
    matching = [each for each in documented if compile_path(each)[0].match(path)]
    if not matching:
        return ["GET", "HEAD"]  # pages and probes
    methods = [method.upper() for method in documented[min(matching, key=lambda p: p.count("{"))]]
    return [*methods, "HEAD"] if "GET" in methods else methods


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    errors = error.errors()
    problems = [_problem(each) for each in errors[:SHOWN]]
    if (more := len(errors) - SHOWN) > 0:
        problems.append(f"and {more} more")
    return error_response(400, f"The request cannot be understood: {'; '.join(problems)}.")


def _problem(error: Mapping[str, Any]) -> str:
    """Where and why only: the value itself may be a key, and an unknown name is the client's."""
    place = ".".join(str(part)[:NAME_SHOWN] for part in error["loc"])
    return f"{place}: {error['msg']}"
