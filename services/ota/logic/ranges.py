"""Which bytes of a file a request is for (RFC 9110, sections 13 and 14)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_SPEC = re.compile(r"([0-9]{0,999})-([0-9]{0,999})")  # Python reads no endless number


class Unsatisfiable(Exception):
    """No byte of the file is asked for: 416."""


class NotModified(Exception):
    """The client has this very file: 304."""


class OtherFile(Exception):
    """The client wants another file than this: 412."""


@dataclass(frozen=True)
class Part:
    """Some bytes of a file: `length` from `first` on, which counts from 0."""

    first: int
    length: int

    def content_range(self, size: int) -> str:
        """The header Content-Range."""
        return f"bytes {self.first}-{self.first + self.length - 1}/{size}"


def part_of(method: str, headers: Mapping[str, str], etag: str, size: int) -> Part | None:
    """The part of a file that a GET or HEAD wants; None for the whole file.

    `headers` finds names in lower case; `etag` is quoted; `size` is above 0. One range is
    granted; of several, or where the client's If-Range is of another file, it gets the whole
    file. Raises OtherFile, NotModified and Unsatisfiable.
    """
    if not _lists(headers.get("if-match", "*"), etag, weakly=False):
        raise OtherFile
    if "if-none-match" in headers and _lists(headers["if-none-match"], etag, weakly=True):
        raise NotModified
    if method != "GET" or headers.get("if-range", etag).strip() != etag:
        return None
    return _range(headers.get("range", ""), size)


def _lists(header: str, etag: str, *, weakly: bool) -> bool:
    tags = [each.strip() for each in header.split(",")]
    if weakly:
        tags = [each.removeprefix("W/") for each in tags]
    return etag in tags or tags == ["*"]


def _range(header: str, size: int) -> Part | None:
    unit, _, listed = header.partition("=")
    specs = [each.strip(" \t") for each in listed.split(",")]
    specs = [each for each in specs if each]  # a list may have empty elements
    spec = _SPEC.fullmatch(specs[0]) if len(specs) == 1 else None
    if unit.strip().lower() != "bytes" or spec is None or spec.group() == "-":
        return None
    first, last = spec.groups()
    if not first:
        return _within(max(size - int(last), 0), int(last), size)
    if not last:
        return _within(int(first), size, size)
    if int(last) < int(first):
        return None
    return _within(int(first), int(last) - int(first) + 1, size)


def _within(first: int, length: int, size: int) -> Part:
    if first >= size or length == 0:
        raise Unsatisfiable
    return Part(first, min(length, size - first))
