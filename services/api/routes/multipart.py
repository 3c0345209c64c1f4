"""A form (multipart/form-data) with a file at its end, read as it comes: never held, never spooled.

aiohttp's reader parses it, out of the pieces of the request's body.
"""

import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from aiohttp import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    BodyPartReader,
    MultipartReader,
    StreamReader,
)
from aiohttp.http_exceptions import HttpProcessingError

from shared.errors import InvalidRequest

FORM = "multipart/form-data"
FILE = "file"
MAX_FIELD = 8 * 1024  # bytes: a note of 1,000 characters has 4,000
MAX_LINE = 8 * 1024
MAX_LINES = 128  # outside of fields and file: each costs aiohttp microseconds, however short it is
CHUNK_BYTES = 64 * 1024
OVERHEAD = 64 * 1024  # of a form beside its file
_AS_IT_IS = ("", "binary", "8bit", "7bit")

# aiohttp prints what a client sent, where a header is malformed; it is refused anyway.
for _warning in (BadContentDispositionHeader, BadContentDispositionParam):
    warnings.simplefilter("ignore", _warning)


@dataclass(frozen=True)
class Form:
    """The fields before the file, and the file as it comes."""

    fields: dict[str, str]
    filename: str
    chunks: AsyncIterator[bytes]


async def read_form(content_type: str, pieces: AsyncIterator[bytes], known: frozenset[str]) -> Form:
    """Read up to the file. `known`: the fields that there may be, each once.

    Raises InvalidRequest: both here and while the file is read on, at whose end the form must end.
    """
    fields: dict[str, str] = {}
    with _understood():
        reader = MultipartReader(
            {"Content-Type": content_type},
            cast(StreamReader, _Body(pieces)),  # of which it uses just these methods
            max_field_size=MAX_LINE,
            max_headers=16,
        )
    while True:
        with _understood():
            part = await reader.next()
        if part is None:
            raise InvalidRequest(f"The form has no field '{FILE}'; it is the last one.")
        if not isinstance(part, BodyPartReader):
            raise InvalidRequest("The form has another form in it; send its fields as they are.")
        _check_encoding(part)
        if part.name == FILE:
            return Form(fields, _filename(part), _chunks(reader, part))
        if part.name not in known:
            takes = ", ".join(sorted(known))
            raise InvalidRequest(
                f"The form has a field that this call does not know; it takes {takes}, and then "
                f"'{FILE}'."
            )
        if part.name in fields:
            raise InvalidRequest(f"The form has the field '{part.name}' twice.")
        fields[part.name] = await _text(part)


async def _chunks(reader: MultipartReader, part: BodyPartReader) -> AsyncIterator[bytes]:
    while not part.at_eof():
        with _understood():
            chunk = await part.read_chunk(CHUNK_BYTES)
        if chunk:
            yield chunk
    with _understood():
        following = await reader.next()
    if following is not None:
        raise InvalidRequest(f"The form goes on after '{FILE}'; send its other fields before.")


async def _text(part: BodyPartReader) -> str:
    data = bytearray()
    while not part.at_eof():
        with _understood():
            data += await part.read_chunk(MAX_FIELD)
        if len(data) > MAX_FIELD:
            raise InvalidRequest(f"A field of the form is longer than {MAX_FIELD} bytes.")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise InvalidRequest("A field of the form is not UTF-8.") from None
    if "\0" in text:
        raise InvalidRequest("A field of the form has the character NUL.")
    return text


def _filename(part: BodyPartReader) -> str:
    if not part.filename:
        raise InvalidRequest(f"The field '{FILE}' has no filename; send the .bin as a file.")
    return part.filename


def _check_encoding(part: BodyPartReader) -> None:
    if part.headers.get("Content-Transfer-Encoding", "").strip().lower() not in _AS_IT_IS:
        raise InvalidRequest("Send the form's fields as they are, not in base64 or the like.")


@contextmanager
def _understood() -> Iterator[None]:
    """aiohttp's words repeat what was sent, which may be a secret; ours do not."""
    try:
        yield
    except (ValueError, RuntimeError, AssertionError, HttpProcessingError):
        raise InvalidRequest(
            f"This is no whole {FORM}: a boundary or a part's header is missing or malformed."
        ) from None


class _Body:
    """What `MultipartReader` uses of a `StreamReader`, over the pieces of a body."""

    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self._pieces = pieces
        self._held = bytearray()
        self._ended = False
        self._lines = 0

    async def read(self, size: int) -> bytes:
        """Some bytes, at most so many; none at the end."""
        if not self._held:
            await self._more()
        return self._take(min(size, len(self._held)))

    async def readline(self, *, max_line_length: int = MAX_LINE) -> bytes:
        """With its newline. Raises ValueError for a longer one, and for too many."""
        self._lines += 1
        if self._lines > MAX_LINES:
            raise ValueError("there are too many lines")
        searched = 0
        while (end := self._held.find(b"\n", searched)) < 0 and not self._ended:
            searched = len(self._held)
            if searched > max_line_length:
                break
            await self._more()
        length = end + 1 if end >= 0 else len(self._held)
        if length > max_line_length:
            raise ValueError("the line is too long")
        return self._take(length)

    def unread_data(self, data: bytes) -> None:
        """Put back what was read last."""
        self._held[:0] = data

    def at_eof(self) -> bool:
        """Whether all was read."""
        return self._ended and not self._held

    async def _more(self) -> None:
        piece = await anext(self._pieces, None)
        if piece is None:
            self._ended = True
        else:
            self._held += piece

    def _take(self, size: int) -> bytes:
        taken = bytes(self._held[:size])
        del self._held[:size]
        return taken
