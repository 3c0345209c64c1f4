"""A .bin in a request's body: passed on as it comes, never held whole."""

import asyncio
import binascii
from base64 import b64decode
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Header, Query, Request

from services.api.store.ota import Binary
from shared.errors import InvalidRequest, TooLarge, TooSlow, UnsupportedMedia

# Of one piece, and of the whole: 16 MiB in ten minutes are 28 kB a second.
PIECE_SECONDS = 15.0
WHOLE_SECONDS = 600.0
MD5_BYTES = 16

_NUMBER = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"

Version = Annotated[
    str,
    Query(
        pattern=rf"^{_NUMBER}\.{_NUMBER}\.{_NUMBER}$",
        description='"a.b.c", each 0 to 255.',
        examples=["1.4.0"],
    ),
]
BinaryName = Annotated[str, Query(max_length=100, description="The file's name, for people.")]
Note = Annotated[str, Query(max_length=1000, description="What is new, for people.")]
ContentMd5 = Annotated[
    str | None,
    Header(
        alias="Content-MD5",
        max_length=24,
        description=(
            "Base64 of the 16 MD5 bytes of the body: a body that arrives otherwise is refused."
        ),
        examples=["PkrfRx4MJuPOGCBYunt25g=="],
    ),
]

BINARY_BODY = {
    "requestBody": {
        "required": True,
        "description": "The .bin as it is. It is cut off above the installation's limit.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


async def read_binary(
    request: Request, limit: int, *, version: str, name: str, note: str, md5: str | None
) -> Binary:
    """What the body begins; the rest is read as it is passed on.

    Raises UnsupportedMedia, InvalidRequest, TooLarge, TooSlow: both here and while it is read on.
    """
    _check_headers(request)
    length = _length(request)
    if length is not None and length > limit:
        raise _too_large(limit)
    chunks = _chunks(request)
    first = await anext(chunks, b"")
    if not first:
        raise InvalidRequest("The body is empty; send the .bin as it is.")
    return Binary(_whole(first, chunks, limit), length, _md5(md5), version, name, note)


def _check_headers(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/octet-stream":
        raise UnsupportedMedia(
            "Send the .bin as it is, with the header Content-Type: application/octet-stream."
        )
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body as it is, without Content-Encoding.")


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
    """The body in pieces that are not empty."""
    pieces = request.stream()
    loop = asyncio.get_running_loop()
    deadline = loop.time() + WHOLE_SECONDS
    while True:
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + PIECE_SECONDS)):
                piece = await anext(pieces, None)
        except TimeoutError:
            raise TooSlow("The body did not arrive in time; is its Content-Length right?") from None
        if piece is None:
            return
        if piece:
            yield piece


async def _whole(first: bytes, rest: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    total = len(first)
    if total > limit:
        raise _too_large(limit)
    yield first
    async for piece in rest:
        total += len(piece)
        if total > limit:
            raise _too_large(limit)
        yield piece


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"A .bin is {limit} bytes at most here.")
