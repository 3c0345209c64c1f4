"""A .bin in a request's body, alone or at the end of a form: passed on as it comes, never held
whole."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, fields
from typing import Annotated, Any

from aiohttp import content_disposition_filename, parse_content_disposition
from fastapi import Depends, Header, Query, Request

from services.api.routes.multipart import FILE, FORM, OVERHEAD, read_form
from services.api.store.ota import Binary
from shared.bodies import content_length, content_md5, pieces
from shared.errors import InvalidRequest, TooLarge, UnsupportedMedia
from shared.schemas.artifacts import VERSION_PATTERN

# Of one piece, and of the whole: 16 MiB in ten minutes are 28 kB a second.
PIECE_SECONDS = 15.0
WHOLE_SECONDS = 600.0
MAX_NAME = 100
MAX_NOTE = 1000
PLAIN = "application/octet-stream"
EXTENSION = ".bin"

_TYPE = r"^[A-Za-z0-9_-]{1,64}$"
_FOR_A_FORM = "A form may have it as a field instead."


@dataclass(frozen=True)
class Described:
    """What is said of a binary; None where it is not said."""

    version: str | None
    name: str | None
    note: str | None
    type: str | None = None  # of gateways, for firmware

    @property
    def said(self) -> dict[str, str]:
        """By the names of the parameters."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in values.items() if value is not None}


def described(
    version: Annotated[
        str | None,
        Query(
            json_schema_extra={"pattern": VERSION_PATTERN},  # `_described` refuses in plain words
            description=f'"a.b.c", each 0 to 255; needed. {_FOR_A_FORM}',
            examples=["1.4.0"],
        ),
    ] = None,
    name: Annotated[
        str | None,
        Query(max_length=MAX_NAME, description=f"The file's name, for people. {_FOR_A_FORM}"),
    ] = None,
    note: Annotated[
        str | None,
        Query(max_length=MAX_NOTE, description=f"What is new, for people. {_FOR_A_FORM}"),
    ] = None,
) -> Described:
    """What the query says of a binary."""
    return Described(version, name, note)


def described_firmware(
    said: Annotated[Described, Depends(described)],
    gateway_type: Annotated[
        str | None,
        Query(
            alias="type",
            json_schema_extra={"pattern": _TYPE},
            description=f"The type of gateway that it is for; needed. {_FOR_A_FORM}",
            examples=["X400"],
        ),
    ] = None,
) -> Described:
    """What the query says of a firmware."""
    return Described(said.version, said.name, said.note, gateway_type)


OfVersion = Annotated[Described, Depends(described)]
OfFirmware = Annotated[Described, Depends(described_firmware)]
ContentMd5 = Annotated[
    str | None,
    Header(
        alias="Content-MD5",
        max_length=24,
        description=(
            "Base64 of the 16 MD5 bytes of the .bin: one that arrives otherwise is refused."
        ),
        examples=["PkrfRx4MJuPOGCBYunt25g=="],
    ),
]


def binary_body(*, firmware: bool = False) -> dict[str, Any]:
    """The `openapi_extra` of a call that takes a binary."""
    text = {"type": "string"}
    known = {"version": {**text, "pattern": VERSION_PATTERN}, "name": text, "note": text}
    if firmware:
        known["type"] = {**text, "pattern": _TYPE}
    file = {"type": "string", "format": "binary", "description": "Last; its name ends in .bin."}
    form = {"type": "object", "properties": {**known, FILE: file}, "required": [FILE]}
    return {
        "requestBody": {
            "required": True,
            "description": (
                "The .bin as it is, or a form of which it is the last field. It is cut off above "
                "the installation's limit."
            ),
            "content": {
                PLAIN: {"schema": {"type": "string", "format": "binary"}},
                FORM: {"schema": form},
            },
        }
    }


async def read_binary(
    request: Request, limit: int, *, said: Described, md5: str | None, firmware: bool = False
) -> Binary:
    """What the body begins; the rest is read as it is passed on. `limit`: bytes of the .bin.

    Raises UnsupportedMedia, InvalidRequest, TooLarge, TooSlow: both here and while it is read on.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body as it is, without Content-Encoding.")
    content_type = request.headers.get("content-type", "")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type == PLAIN:
        return await _plain(request, limit, said, content_md5(md5), firmware=firmware)
    if media_type == FORM:
        return await _form(request, limit, said, content_md5(md5), firmware=firmware)
    raise UnsupportedMedia(
        f"Send the .bin as it is, with the header Content-Type: {PLAIN}, or as the field '{FILE}' "
        f"of a {FORM}."
    )


async def _plain(
    request: Request, limit: int, said: Described, md5: bytes | None, *, firmware: bool
) -> Binary:
    length = content_length(request)
    if length is not None and length > limit:
        raise _too_large(limit)
    _, parameters = parse_content_disposition(request.headers.get("content-disposition"))
    filename = content_disposition_filename(parameters) or ""
    if filename:
        _check_filename(filename)
    binary = _described(said.said, filename, firmware=firmware)
    chunks = await _begun(_chunks(request), limit)
    return Binary(chunks, length, md5, **binary)


async def _form(
    request: Request, limit: int, said: Described, md5: bytes | None, *, firmware: bool
) -> Binary:
    if (content_length(request) or 0) > limit + OVERHEAD:
        raise _too_large(limit)
    known = {"version", "name", "note"} | ({"type"} if firmware else set())
    body = _bounded(_chunks(request), limit + OVERHEAD, limit)
    form = await read_form(request.headers["content-type"], body, frozenset(known))
    if twice := form.fields.keys() & said.said.keys():
        raise InvalidRequest(f"In the query and in the form: {', '.join(sorted(twice))}.")
    _check_filename(form.filename)
    binary = _described(form.fields | said.said, form.filename, firmware=firmware)
    return Binary(await _begun(form.chunks, limit), None, md5, **binary)


def _described(given: dict[str, str], filename: str, *, firmware: bool) -> dict[str, str]:
    """The fields of `Binary`. Raises InvalidRequest."""
    name, note = given.get("name", filename), given.get("note", "")
    if not re.fullmatch(VERSION_PATTERN, given.get("version", "")):
        raise InvalidRequest(
            'Say the version: "a.b.c", each 0 to 255, such as version=1.4.0; in a form, before the '
            "file."
        )
    if firmware and not re.fullmatch(_TYPE, given.get("type", "")):
        raise InvalidRequest("Say the type of gateway that it is for, such as type=X400.")
    if len(name) > MAX_NAME or len(note) > MAX_NOTE:
        raise InvalidRequest(
            f"The name is at most {MAX_NAME} characters, the note at most {MAX_NOTE}."
        )
    of_firmware = {"type": given["type"]} if firmware else {}
    return {"version": given["version"], "name": name, "note": note, **of_firmware}


def _check_filename(filename: str) -> None:
    if not filename.lower().endswith(EXTENSION):
        raise InvalidRequest(f"The file's name does not end in {EXTENSION}: is it the right file?")


async def _begun(chunks: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """A file that is not empty, as it comes."""
    first = await anext(chunks, b"")
    if not first:
        raise InvalidRequest("The file is empty; send the .bin as it is.")
    return _bounded(_chained(first, chunks), limit, limit)


def _chunks(request: Request) -> AsyncIterator[bytes]:
    return pieces(request, piece_seconds=PIECE_SECONDS, whole_seconds=WHOLE_SECONDS)


async def _chained(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in rest:
        yield piece


async def _bounded(body: AsyncIterator[bytes], most: int, limit: int) -> AsyncIterator[bytes]:
    total = 0
    async for piece in body:
        total += len(piece)
        if total > most:
            raise _too_large(limit)
        yield piece


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"A .bin is {limit} bytes at most here.")
