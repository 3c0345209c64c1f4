"""Forms with a file at their end: read as they come, however they are cut into pieces."""

import asyncio
from collections.abc import AsyncIterator, Iterable

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.routes.multipart import CHUNK_BYTES, MAX_FIELD, Form, read_form
from shared.errors import InvalidRequest

KNOWN = frozenset({"version", "name", "note"})
BOUNDARY = "xYz"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"
FILE = 'Content-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
FIELD = 'Content-Disposition: form-data; name="note"\r\n\r\n'


async def pieces_of(body: bytes, sizes: Iterable[int] = ()) -> AsyncIterator[bytes]:
    start = 0
    for size in sizes:
        yield body[start : start + size]
        start += size
    yield body[start:]


async def read(body: bytes, sizes: Iterable[int] = (), content_type: str = TYPE) -> bytes:
    form = await read_form(content_type, pieces_of(body, sizes), KNOWN)
    return b"".join([chunk async for chunk in form.chunks])


def form_of(*parts: str, end: str = f"--{BOUNDARY}--\r\n") -> bytes:
    return ("".join(f"--{BOUNDARY}\r\n{part}\r\n" for part in parts) + end).encode()


# What looks like a boundary is what goes wrong.
CONTENT = st.lists(
    st.sampled_from([b"\r\n", b"--", b"xYz", b"\r\n--xY", b"\n", b"\r", b"x", b"\0" * 3000])
).map(b"".join)


@given(
    content=CONTENT,
    note=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50),
    filename=st.text(st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1),
    sizes=st.lists(st.integers(1, 200), max_size=80),
)
async def test_a_form_is_read_as_a_client_wrote_it(
    content: bytes, note: str, filename: str, sizes: list[int]
) -> None:
    boundary = "3f9c2d41a07be586"
    request = httpx.Request(
        "POST",
        "http://x",
        data={"version": "1.0.0", "note": note},
        files={"file": (filename, content)},
        headers={"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    body = b"".join(request.stream)  # type: ignore[arg-type]
    form = await read_form(request.headers["Content-Type"], pieces_of(body, sizes), KNOWN)
    assert form.fields == {"version": "1.0.0", "note": note}
    assert b"".join([chunk async for chunk in form.chunks]) == content


@given(content=CONTENT, cut=st.integers(0, 400), sizes=st.lists(st.integers(1, 90), max_size=9))
async def test_a_form_that_ends_too_early_is_none(
    content: bytes, cut: int, sizes: list[int]
) -> None:
    whole = form_of(FIELD + "new", FILE) + b""
    body = whole[: whole.index(b"\r\n--xYz--")] + content.replace(BOUNDARY.encode(), b"")
    with pytest.raises(InvalidRequest):
        await read(body[: max(len(body) - cut, 0)], sizes)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "boundary"),
        (b"x" * 100_000, "boundary"),
        (form_of(FIELD + "x"), "no field 'file'"),
        (form_of(), "no field 'file'"),
        (form_of(FIELD + "x", FIELD + "y", FILE + "z"), "twice"),
        (form_of(FILE + "z", FIELD + "x"), "goes on after"),
        (form_of(FILE + "z", FILE + "y"), "goes on after"),
        (form_of(FIELD.replace("note", "kind") + "x"), "does not know"),
        (form_of("\r\nx"), "does not know"),
        (form_of("Content-Disposition: ;;=\r\n\r\nx"), "does not know"),
        (form_of(FILE.replace('; filename="a.bin"', "") + "z"), "no filename"),
        (form_of("Content-Transfer-Encoding: base64\r\n" + FILE + "eA=="), "base64"),
        (form_of("Content-Type: multipart/mixed; boundary=b\r\n" + FILE), "another form"),
        (form_of(FIELD + "x" * (MAX_FIELD + 1), FILE + "z"), "longer than"),
        (form_of(FIELD + "\0", FILE + "z"), "NUL"),
        (form_of("no header\r\n\r\nx", FILE + "z"), "header"),
        (form_of("X: " + "x" * 10_000 + "\r\n" + FILE), "header"),
        (form_of("X: y\r\n" * 100 + FILE), "header"),
        (form_of(FIELD).replace(b"\r\n\r\n", b"\r\n\r\n\xff"), "UTF-8"),
    ],
)
async def test_what_is_no_such_form_is_refused(body: bytes, says: str) -> None:
    for sizes in ([], [1] * 300):
        with pytest.raises(InvalidRequest, match=says):
            await read(body, sizes)


@pytest.mark.parametrize("parameters", ["", "; boundary=", f"; boundary={'x' * 71}", "; x=y"])
async def test_a_boundary_is_needed(parameters: str) -> None:
    with pytest.raises(InvalidRequest, match="boundary"):
        await read(form_of(FILE + "z"), content_type=f"multipart/form-data{parameters}")


async def test_nothing_is_read_ahead() -> None:
    given = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal given
        yield form_of(FILE, end="")
        while True:
            given += CHUNK_BYTES
            yield bytes(CHUNK_BYTES)

    form: Form = await read_form(TYPE, pieces(), KNOWN)
    taken = 0
    async for chunk in form.chunks:
        taken += len(chunk)
        assert given - taken <= 4 * CHUNK_BYTES
        if taken > 100 * CHUNK_BYTES:
            break
        await asyncio.sleep(0)


async def test_lines_before_the_form_do_not_keep_the_api_busy() -> None:
    given = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal given
        for _ in range(1000):
            given += 1
            yield b"\n" * 100

    with pytest.raises(InvalidRequest, match="boundary"):
        await read_form(TYPE, pieces(), KNOWN)
    assert given < 5
