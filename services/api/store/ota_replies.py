"""What the OTA service answers: a reply's body, or its refusal as ours."""

import logging
from collections.abc import Mapping
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from shared.errors import (
    Changed,
    Conflict,
    InvalidRequest,
    MyMoteError,
    NotFound,
    TooLarge,
    TooMany,
    Unavailable,
    UnsupportedMedia,
)
from shared.logs import correlation_id
from shared.schemas.contract import Error

log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 64 * 1024

_REFUSALS: Mapping[int, type[MyMoteError]] = {
    each.status: each
    for each in (InvalidRequest, NotFound, Conflict, Changed, TooLarge, UnsupportedMedia)
}

M = TypeVar("M", bound=BaseModel)


async def answered(client: httpx.AsyncClient, request: httpx.Request) -> bytes:
    """The body of a reply that is no refusal. Raises the refusals, and Unavailable where the
    service does not answer as it should."""
    request.headers["X-Correlation-Id"] = correlation_id.get()
    try:
        response = await client.send(request, stream=True)
        try:
            body = await _bounded(response)
        finally:
            await response.aclose()
    except httpx.HTTPError as error:
        log.warning("the OTA service does not answer", extra={"error": type(error).__name__})
        raise _unavailable() from error
    if not response.is_success:
        raise _refusal(response, body)
    return body


def read_reply(model: type[M], body: bytes) -> M:
    """Raises Unavailable where it is no such document."""
    try:
        return model.model_validate_json(body)
    except ValidationError:
        raise _unexpected(f"its reply is no {model.__name__}", 200) from None


async def _bounded(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_REPLY_BYTES:
            raise _unexpected("its reply is too long", response.status_code)
    return bytes(body)


def _refusal(response: httpx.Response, body: bytes) -> MyMoteError:
    status = response.status_code
    try:
        sentence = Error.model_validate_json(body).error
    except ValidationError:
        return _unexpected("its refusal has no ERROR body", status)
    if status == TooMany.status:
        after = response.headers.get("Retry-After", "")
        return TooMany(sentence, int(after) if after.isdecimal() else None)
    if status == Unavailable.status:
        return Unavailable(sentence)
    refusal = _REFUSALS.get(status)
    return refusal(sentence) if refusal else _unexpected("it answers what it should not", status)


def _unexpected(what: str, status: int) -> Unavailable:
    log.error("the OTA service answers wrongly", extra={"what": what, "status": status})
    return _unavailable()


def _unavailable() -> Unavailable:
    return Unavailable("The OTA service does not answer as it should; try again in a few seconds.")
