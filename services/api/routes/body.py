"""Reading a request's body as it was sent, within a limit."""

import asyncio

from fastapi import Request

from shared.errors import InvalidRequest, TooLarge, TooSlow, UnsupportedMedia

BODY_SECONDS = 5.0


async def read_json_bytes(request: Request, limit: int) -> bytes:
    """The bytes of a JSON body, at most `limit` of them.

    Raises UnsupportedMedia, InvalidRequest (no body), TooSlow and TooLarge, without reading on.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMedia("Send the body with the header Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body as it is, without Content-Encoding.")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            body = await _read(request, limit)
    except TimeoutError:
        raise TooSlow("The body did not arrive in time; is its Content-Length right?") from None
    if not body:
        raise InvalidRequest("The body is empty; send a JSON value.")
    return body


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"The body is {limit} bytes at most; send less.")
    return bytes(body)
