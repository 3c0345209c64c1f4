"""A request's body as it comes, and what its headers say of it."""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import AsyncIterator

from starlette.requests import Request

from shared.errors import InvalidRequest, TooSlow

MD5_BYTES = 16


def content_length(request: Request) -> int | None:
    """In bytes, where the sender says it."""
    given = request.headers.get("content-length", "")
    # With both, Transfer-Encoding is what counts (RFC 9112, section 6.3).
    if "transfer-encoding" in request.headers or not given.isdecimal():
        return None
    return int(given)


def content_md5(given: str | None) -> bytes | None:
    """What a header Content-MD5 says. Raises InvalidRequest."""
    if given is None:
        return None
    try:
        digest = b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != MD5_BYTES:
        raise InvalidRequest("Content-MD5 is the base64 of the body's 16 MD5 bytes.")
    return digest


async def pieces(
    request: Request, *, piece_seconds: float, whole_seconds: float
) -> AsyncIterator[bytes]:
    """None of them is empty. Raises TooSlow, and ClientDisconnect."""
    stream = request.stream()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + whole_seconds
    while True:
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + piece_seconds)):
                piece = await anext(stream, None)
        except TimeoutError:
            raise TooSlow("The body did not arrive in time; is its Content-Length right?") from None
        if piece is None:
            return
        if piece:
            yield piece
