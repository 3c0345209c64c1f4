"""The header Idempotency-Key, for calls that order or make something.

A route that takes it has a parameter `order_id: Idempotent`: the id of what it makes. Sent again,
the same request has the same one; without the header, each request has a new one.
"""

import logging
import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Header, Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from services.api.documents.idempotency import IdempotencyRecord
from services.api.logic import idempotency
from services.api.routes.body import ReadRequest, read_bytes
from services.api.routes.dependencies import PREFIX, Calling, opened
from services.api.routes.query import dependants
from shared.errors import InvalidRequest, MyMoteError, Unavailable

log = logging.getLogger(__name__)

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
MAX_BODY_BYTES = 512 * 1024  # more than any call that takes the header takes
_KEY = re.compile(r"[!-~]{1,255}")
_KEPT_HEADERS = ("location", "etag")

Answer = Callable[[Request], Awaitable[Response]]


def order_id(
    request: Request,
    _key: Annotated[
        str | None,
        Header(
            alias=HEADER,
            min_length=1,
            max_length=255,
            pattern="^[!-~]+$",
            description=(
                "Any text of your own, new for each order: sent again within a day, the same "
                "request is not carried out again but gets the same reply, with the header "
                f"`{REPLAYED}: true`. With another request it is refused (409)."
            ),
            examples=["3f1c6a52-order-17"],
        ),
    ] = None,
) -> str:
    """A UUID."""
    return str(request.state.order_id)


Idempotent = Annotated[str, Depends(order_id)]


def is_idempotent(dependant: Dependant) -> bool:
    """Whether a route takes the header."""
    return any(each.call is order_id for each in dependants(dependant))


async def once(request: Request, caller: Calling, operation: str, answer: Answer) -> Response:
    """Answer, or repeat what was answered to the same order before. Raises what `answer` raises,
    InvalidRequest, TooLarge, TooSlow, Conflict and Unavailable."""
    key = request.headers.get(HEADER)
    if key is None:
        request.state.order_id = str(uuid.uuid4())
        return await answer(request)
    if not _KEY.fullmatch(key):
        raise InvalidRequest("An Idempotency-Key is 1 to 255 visible ASCII characters.")
    body = await read_bytes(request, MAX_BODY_BYTES)
    found = await idempotency.claim(
        opened(request).idempotency,
        user_id=caller.user_id,
        operation=operation,
        key=key,
        fingerprint=_fingerprint(request, caller, body),
    )
    if isinstance(found, IdempotencyRecord):
        return _again(request, found)
    request.state.order_id = found.record.order_id
    return await _carry_out(ReadRequest(request, body), found, answer)


async def _carry_out(request: Request, claim: idempotency.Claim, answer: Answer) -> Response:
    try:
        async with claim.kept():
            response = await answer(request)
    except Exception as error:
        await _note(claim.give_up(refused=_is_refusal(error)))
        raise
    headers = {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers}
    if "location" in headers:
        headers["location"] = headers["location"].replace(_base(request), PREFIX)
    await _note(claim.finish(response.status_code, bytes(response.body).decode(), headers))
    return response


async def _note(writing: Awaitable[None]) -> None:
    """The order's outcome stands, whether or not it can be written down."""
    try:
        await writing
    except Unavailable as error:
        log.error("an order's outcome is not kept", extra={"error": str(error)})  # noqa: TRY400


def _is_refusal(error: Exception) -> bool:
    """Whether nothing was done, so that the key may be used again."""
    if isinstance(error, MyMoteError):
        return error.status < 500
    if isinstance(error, HTTPException):
        return error.status_code < 500
    return isinstance(error, RequestValidationError)


def _again(request: Request, record: IdempotencyRecord) -> Response:
    headers = dict(record.headers)
    if "location" in headers:
        headers["location"] = headers["location"].replace(PREFIX, _base(request))
    headers[REPLAYED] = "true"
    return Response(record.body, record.status, headers, media_type="application/json")


def _fingerprint(request: Request, caller: Calling, body: bytes) -> str:
    """Not of the API key: an order may be sent again with the key that follows it. But of what
    the caller may see, since replies differ in it."""
    path = {name: value for name, value in request.path_params.items() if name != "webapi_key"}
    query = request.scope["query_string"].decode("ascii")
    media_type = request.headers.get("content-type", "")
    return idempotency.fingerprint_of(
        [path, query, media_type, sorted(caller.principal.scopes)], body
    )


def _base(request: Request) -> str:
    """The account's part of the path, with the key as it was sent."""
    return PREFIX.format(**request.path_params)
