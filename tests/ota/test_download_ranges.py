"""Which bytes a request is for, against a reading of RFC 9110 of the test's own."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.ota.logic.ranges import NotModified, OtherFile, Part, Unsatisfiable, part_of

ETAG = '"e"'
NUMBERS = st.one_of(st.integers(0, 40), st.just(10**30)).map(str)
SPECS = st.one_of(
    st.tuples(NUMBERS, NUMBERS).map("-".join),
    NUMBERS.map(lambda first: f"{first}-"),
    NUMBERS.map(lambda last: f"-{last}"),
    st.text("0123456789-x ", max_size=6),
)
RANGES = st.one_of(
    st.text(max_size=20),
    SPECS.map(lambda spec: f"bytes={spec}"),
    SPECS.map(lambda spec: f"BYTES= {spec} "),
    st.lists(SPECS, max_size=3).map(lambda specs: "bytes=" + ",".join(specs)),
)


def oracle(header: str, size: int) -> bytes | None:
    """The bytes of a single range, b"" where it has none; None for a header that is ignored."""
    file = bytes(range(size))
    unit, equals, listed = header.partition("=")
    specs = [each for each in (part.strip(" \t") for part in listed.split(",")) if each]
    if not equals or unit.strip().lower() != "bytes" or len(specs) != 1:
        return None
    if found := re.fullmatch("-([0-9]+)", specs[0]):
        return file[-int(found[1]) :] if int(found[1]) else b""
    if found := re.fullmatch("([0-9]+)-", specs[0]):
        return file[int(found[1]) :]
    if found := re.fullmatch("([0-9]+)-([0-9]+)", specs[0]):
        return file[int(found[1]) : int(found[2]) + 1] if int(found[1]) <= int(found[2]) else None
    return None


@given(header=RANGES, size=st.integers(1, 40))
@example(header="bytes=-0", size=5)
@example(header="bytes=5-", size=5)
@example(header="bytes=9-2", size=5)
@example(header="bytes=" + "9" * 5000 + "-", size=5)
@example(header="bytes=0-0,-1", size=5)
def test_a_range_is_what_the_rfc_says(header: str, size: int) -> None:
    if len(header) > 1000:
        assert part_of("GET", {"range": header}, ETAG, size) is None
        return
    expected = oracle(header, size)
    if expected == b"":
        with pytest.raises(Unsatisfiable):
            part_of("GET", {"range": header}, ETAG, size)
        return
    part = part_of("GET", {"range": header}, ETAG, size)
    if expected is None:
        assert part is None
        return
    assert part is not None
    assert bytes(range(size))[part.first : part.first + part.length] == expected
    assert len(expected) == part.length
    assert part.content_range(size) == f"bytes {expected[0]}-{expected[-1]}/{size}"


@pytest.mark.parametrize(
    ("if_range", "granted"),
    [(ETAG, True), ('"f"', False), ('W/"e"', False), ("Sat, 14 Mar 2026 12:00:00 GMT", False)],
)
def test_a_part_is_granted_of_the_very_same_file(if_range: str, granted: bool) -> None:
    headers = {"range": "bytes=2-", "if-range": if_range}
    assert part_of("GET", headers, ETAG, 5) == (Part(2, 3) if granted else None)


def test_only_get_has_ranges() -> None:
    assert part_of("HEAD", {"range": "bytes=9-"}, ETAG, 5) is None


@pytest.mark.parametrize("header", ['"e"', '"f", W/"e"', "*"])
def test_who_has_the_file_is_told_so(header: str) -> None:
    with pytest.raises(NotModified):
        part_of("GET", {"if-none-match": header, "range": "bytes=9-"}, ETAG, 5)
    assert part_of("GET", {"if-none-match": '"f"'}, ETAG, 5) is None


@pytest.mark.parametrize("header", ['"f"', 'W/"e"', ""])
def test_who_wants_another_file_is_told_so(header: str) -> None:
    with pytest.raises(OtherFile):
        part_of("GET", {"if-match": header}, ETAG, 5)
    for matching in (ETAG, '"f", "e"', "*"):
        assert part_of("GET", {"if-match": matching}, ETAG, 5) is None
