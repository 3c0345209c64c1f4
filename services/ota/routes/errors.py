"""Every refusal has the ERROR body."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared.errors import MyMoteError
from shared.schemas.contract import Error

RETRY_AFTER_SECONDS = "5"
RETRY_LATER = (429, 503)

_PLAIN = {
    404: "There is nothing at this path.",
    405: "This path does not take this method; see the header Allow.",
}


def error_response(
    status: int, sentence: str, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A reply with the ERROR body."""
    all_headers = dict(headers or {})
    if status in RETRY_LATER:
        all_headers.setdefault("Retry-After", RETRY_AFTER_SECONDS)
    return JSONResponse(Error(error=sentence).model_dump(), status_code=status, headers=all_headers)


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


async def _http(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    sentence = _PLAIN.get(error.status_code, str(error.detail))
    return error_response(error.status_code, sentence, error.headers)


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    # Where and why only: the value itself may be a key.
    problems = [
        f"{'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
        for problem in error.errors()
    ]
    return error_response(400, f"The request cannot be understood: {'; '.join(problems)}.")
