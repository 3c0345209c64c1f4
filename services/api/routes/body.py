"""Reading a request's body as it was sent, within a limit."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

from fastapi import Request

from shared.errors import InvalidRequest, TooLarge, TooSlow, UnsupportedMedia

BODY_SECONDS = 5.0


class ReadRequest(Request):
    """A request whose body is read already; `value` is what the JSON in it means."""

    def __init__(self, request: Request, body: bytes, value: Any = None) -> None:
        super().__init__(request.scope, request.receive)
        self._bytes = body
        self._value = value

    async def stream(self) -> AsyncGenerator[bytes, None]:
        """All of it at once."""
        yield self._bytes

    async def body(self) -> bytes:
        """As it was sent."""
        return self._bytes

    async def json(self) -> Any:
        """The value."""
        return self._value


async def read_json_bytes(request: Request, limit: int) -> bytes:
    """The bytes of a JSON body, at most `limit` of them.

    Raises UnsupportedMedia, InvalidRequest (no body), TooSlow and TooLarge, without reading on.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedMedia("Send the body with the header Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body as it is, without Content-Encoding.")
    body = await read_bytes(request, limit)
    if not body:
        raise InvalidRequest("The body is empty; send a JSON value.")
    return body


async def read_bytes(request: Request, limit: int) -> bytes:
    """The body of any type, "" for none. Raises TooSlow and TooLarge, without reading on."""
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, limit)
    except TimeoutError:
        raise TooSlow("The body did not arrive in time; is its Content-Length right?") from None


async def _read(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise TooLarge(f"The body is {limit} bytes at most; send less.")
    return bytes(body)
