"""The CSV file of an import: one gateway a line, under a header.

UTF-8, with or without byte order mark; `,` or `;`, as the header has it; quotes as in RFC 4180.
"""

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.errors import InvalidRequest

MAX_LINES = 1000
NEEDED = ("device_key", "name")
COLUMNS = (*NEEDED, "location", "group")


@dataclass(frozen=True)
class Line:
    """One gateway as the file has it. `number`: of the line in the file, the header being 1.

    `problem` says what is wrong with the line's form; "" where it can be read.
    """

    number: int
    device_key: str = ""
    name: str = ""
    location: str = ""
    group: str = ""
    problem: str = ""


def read(body: bytes) -> list[Line]:
    """All lines that are not blank, at most MAX_LINES.

    Raises InvalidRequest where the file as a whole cannot be read, without repeating what is in
    it: some of it are device keys.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest("The file is not UTF-8; save it as CSV UTF-8.") from None
    if "\0" in text:
        raise InvalidRequest("The file has the character NUL; is it CSV?")
    try:
        rows = list(_rows(text))
    except csv.Error:
        raise InvalidRequest(
            "The file is no CSV: a quote is missing or in a wrong place."
        ) from None
    if not rows:
        raise InvalidRequest(f"The file is empty; its first line is {','.join(COLUMNS)}.")
    header = _header(rows[0][1])
    if len(rows) - 1 > MAX_LINES:
        raise InvalidRequest(
            f"A file has {MAX_LINES} gateways at most; send the others in another."
        )
    return [_line(number, header, row) for number, row in rows[1:]]


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each record that is not blank, with the number of its first line."""
    delimiter = ";" if ";" in text.lstrip("\r\n").partition("\n")[0] else ","
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begin = 1
    for row in reader:
        if any(field.strip() for field in row):
            yield begin, row
        begin = reader.line_num + 1


def _header(row: Sequence[str]) -> list[str]:
    names = [name.strip().lower() for name in row]
    if not set(NEEDED) <= set(names) <= set(COLUMNS) or len(set(names)) != len(names):
        raise InvalidRequest(
            f"The first line names the columns: {', '.join(NEEDED)}, and where they are wanted "
            "location and group; no others, and each once."
        )
    return names


def _line(number: int, header: Sequence[str], row: Sequence[str]) -> Line:
    if len(row) != len(header):
        return Line(
            number,
            problem=f"The line has {len(row)} fields and the header {len(header)}; put a field "
            'that has the separator in it into quotes, like "41.890210,12.492231".',
        )
    return Line(number, **dict(zip(header, (field.strip() for field in row), strict=True)))
