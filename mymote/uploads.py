"""A file sent whole, read bit by bit, with a progress bar."""

import hashlib
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mymote import progress
from mymote.failures import usage

if TYPE_CHECKING:
    from mymote.api import Api

CHUNK_BYTES = 256 * 1024
EXTENSION = ".bin"


def upload(
    api: "Api", operation: str, file: str, *, query: dict[str, object], **path: str
) -> dict[str, Any]:
    """The reply of a call that takes a binary as its body. Raises Failure."""
    from mymote.api import Body  # noqa: PLC0415

    with _opened(file) as source:
        size = os.fstat(source.fileno()).st_size
        # So that nothing else than this file is kept.
        md5 = hashlib.file_digest(source, lambda: hashlib.md5(usedforsecurity=False)).digest()
        source.seek(0)
        with progress.bar(size, "Uploading") as advance:
            made: dict[str, Any] = api.call(
                operation,
                query={"name": Path(file).name, **query},
                body=Body(_read(source, advance), "application/octet-stream"),
                headers={
                    "Content-Length": str(size),
                    "Content-MD5": b64encode(md5).decode(),
                },
                **path,
            )
    return made


def check(file: str) -> None:
    """Raises Failure where it cannot be sent."""
    _opened(file).close()


def _opened(file: str) -> BufferedReader:
    if not file.lower().endswith(EXTENSION):
        raise usage(f"{file} does not end in {EXTENSION}: is it the right file?")
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise usage(f"{file} cannot be read ({error.strerror}).") from None


def _read(source: BufferedReader, advance: Callable[[int], None]) -> Iterator[bytes]:
    while chunk := source.read(CHUNK_BYTES):
        yield chunk
        advance(len(chunk))
