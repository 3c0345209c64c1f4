"""How an HTTP service refuses: every refusal has the ERROR body."""

from collections.abc import Callable, Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared import problems
from shared.errors import MyMoteError
from shared.schemas.contract import Error

RETRY_AFTER_SECONDS = "5"
RETRY_LATER = (429, 503)


def error_response(
    status: int, sentence: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A reply with the ERROR body."""
    all_headers = dict(headers or {})
    if status in RETRY_LATER:
        all_headers.setdefault("Retry-After", RETRY_AFTER_SECONDS)
    return JSONResponse(Error(error=sentence).model_dump(), status_code=status, headers=all_headers)


def add_error_handlers(
    app: FastAPI,
    sentences: Mapping[int, str],
    allowed: Callable[[Request], Sequence[str]] | None = None,
) -> None:
    """Whatever refuses, the reply has the ERROR body.

    `sentences`: for what the framework itself refuses, by status. `allowed`: the methods of a
    request's path; Starlette alone knows those of the first route.
    """

    async def http(request: Request, error: Exception) -> JSONResponse:
        if not isinstance(error, HTTPException):
            raise error
        sentence = sentences.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        if allowed is not None and error.status_code == 405:
            headers["Allow"] = ", ".join(allowed(request))
        return error_response(error.status_code, sentence, headers)

    app.add_exception_handler(MyMoteError, _refused)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(RequestValidationError, _invalid)


async def _refused(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, MyMoteError) or error.status == 500:
        raise error
    headers = {}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    return error_response(error.status, str(error), headers)


async def _invalid(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    body = getattr(request.scope.get("route"), "body_field", None)
    kind = body.field_info.annotation if body else None
    return error_response(400, problems.sentence(error.errors(), kind))
