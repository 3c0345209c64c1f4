"""A .bin in a request's body: passed on as it comes, never held whole."""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Request

from services.ota.logic.uploads import Incoming
from shared.errors import InvalidRequest, TooSlow, UnsupportedMedia

# Of one piece, and of the whole: longer than the api waits for its client.
PIECE_SECONDS = 30.0
WHOLE_SECONDS = 900.0
MD5_BYTES = 16

ContentMd5 = Annotated[str | None, Header(alias="Content-MD5")]


def read_binary(request: Request, limit: int, md5: str | None) -> Incoming:
    """The body, which is read as it is stored; `limit` is in bytes.

    Raises UnsupportedMedia, InvalidRequest; reading it raises TooSlow and ClientDisconnect.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/octet-stream":
        raise UnsupportedMedia(
            "Send the .bin as it is, with the header Content-Type: application/octet-stream."
        )
    return Incoming(_chunks(request), _length(request), _md5(md5), limit)


def _length(request: Request) -> int | None:
    given = request.headers.get("content-length", "")
    # With both, Transfer-Encoding is what counts (RFC 9112, section 6.3).
    if "transfer-encoding" in request.headers or not given.isdecimal():
        return None
    return int(given)


def _md5(given: str | None) -> bytes | None:
    if given is None:
        return None
    try:
        digest = b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != MD5_BYTES:
        raise InvalidRequest("Content-MD5 is the base64 of the body's 16 MD5 bytes.")
    return digest


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    pieces = request.stream()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WHOLE_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + PIECE_SECONDS)):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise TooSlow("The body did not arrive in time.") from None
        if piece is None:
            return
        yield piece
