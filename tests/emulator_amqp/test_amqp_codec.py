"""The codec keeps values and types, and garbage only ever raises DecodeError."""

import contextlib
import math
import struct
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.amqp import types as t
from emulator.amqp.codec import DecodeError, decode, encode, list_fields, map_items, skip
from emulator.amqp.message import (
    BATCHED,
    MESSAGE_ANNOTATIONS,
    Header,
    Properties,
    annotations_section,
    application_properties_section,
    data_section,
    extend_map,
    header_section,
    message_id,
    properties_section,
    split,
    unbatch,
    value_section,
)


def whole(bits: int, signed: bool) -> st.SearchStrategy[int]:
    return (
        st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
        if signed
        else st.integers(0, 2**bits - 1)
    )


ascii_text = st.text(st.characters(max_codepoint=127), max_size=300)
hashable = st.one_of(
    st.none(),
    whole(64, True),
    whole(8, False).map(t.UByte),
    whole(16, False).map(t.UShort),
    whole(32, False).map(t.UInt),
    whole(64, False).map(t.ULong),
    whole(8, True).map(t.Byte),
    whole(16, True).map(t.Short),
    whole(32, True).map(t.Int),
    whole(64, True).map(t.Timestamp),
    st.floats(allow_nan=False),
    st.floats(width=32, allow_nan=False).map(t.Float),
    st.characters(codec="utf-8").map(t.Char),
    st.text(max_size=300),
    ascii_text.map(t.Symbol),
    st.binary(max_size=300),
    st.uuids(),
    st.binary(min_size=4, max_size=4).map(t.Decimal32),
    st.binary(min_size=8, max_size=8).map(t.Decimal64),
    st.binary(min_size=16, max_size=16).map(t.Decimal128),
)
arrays = st.one_of(
    st.lists(st.text(max_size=300), max_size=9).map(lambda v: t.Array(0xB1, v)),
    st.lists(ascii_text.map(t.Symbol), max_size=9).map(lambda v: t.Array(0xB3, v)),
    st.lists(st.binary(max_size=300), max_size=9).map(lambda v: t.Array(0xB0, v)),
    st.lists(whole(64, True).map(t.Timestamp), max_size=9).map(lambda v: t.Array(0x83, v)),
    st.lists(whole(32, True).map(t.Int), max_size=99).map(lambda v: t.Array(0x71, v)),
    st.lists(st.uuids(), max_size=9).map(lambda v: t.Array(0x98, v)),
    st.lists(st.booleans(), max_size=9).map(lambda v: t.Array(0x56, v)),
    st.lists(st.lists(st.text(), max_size=3), max_size=5).map(lambda v: t.Array(0xD0, v)),
    st.lists(st.lists(st.text(), max_size=3), max_size=5).map(
        lambda v: t.Array(0xD0, v, t.Symbol("x:y"))
    ),
)
values = st.recursive(
    st.one_of(st.booleans(), hashable, arrays),
    lambda inner: st.one_of(
        st.lists(inner, max_size=20),
        st.dictionaries(hashable, inner, max_size=9),
        st.builds(t.Described, whole(64, False).map(t.ULong), inner),
    ),
    max_leaves=30,
)


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, t.Array) and (a.code, a.descriptor) != (b.code, b.descriptor):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(map(same, a.items(), b.items()))
    if isinstance(a, tuple):
        return all(map(same, a, b))
    if isinstance(a, t.Described):
        return same(a.descriptor, b.descriptor) and same(a.value, b.value)
    return bool(a == b)


@given(values)
def test_what_is_encoded_decodes_to_the_same_value_and_type(value: Any) -> None:
    encoded = encode(value)
    decoded, end = decode(encoded + b"\x40")
    assert end == len(encoded)
    assert same(decoded, value)
    assert skip(encoded, 0) == len(encoded)


@given(values, st.data())
def test_a_value_cut_short_is_an_error(value: Any, data: st.DataObject) -> None:
    encoded = encode(value)
    cut = encoded[: data.draw(st.integers(0, len(encoded) - 1))]
    with pytest.raises(DecodeError):
        decode(cut)


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_else(garbage: bytes) -> None:
    for read in (lambda: decode(garbage), lambda: skip(garbage, 0), lambda: split(garbage)):
        with contextlib.suppress(DecodeError):
            read()
    with contextlib.suppress(DecodeError):
        list_fields(garbage, 0)
    with contextlib.suppress(DecodeError):
        map_items(garbage, 0)
    with contextlib.suppress(DecodeError):
        unbatch(garbage, BATCHED)


@given(values, st.data())
def test_a_changed_byte_raises_nothing_else(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode([value]))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(DecodeError):
        decode(bytes(encoded))


@pytest.mark.parametrize(
    "bomb",
    [
        b"\xf0\x00\x00\x00\x05\xff\xff\xff\xff\x40",  # four thousand million nulls
        b"\xd0\x00\x00\x00\x04\xff\xff\xff\xff",
        b"\xd1\x00\x00\x00\x04\xff\xff\xff\xfe",
        b"\xb1\xff\xff\xff\xff",
        b"\xc0\xff\x01" * 200,
        b"\x00" * 5000,
        b"\xc1\x04\x02\x45\x40\x40",  # a list as a map's key
        b"\x73\x00\x00\xd8\x00",  # a surrogate as a character
    ],
)
def test_lengths_that_lie_are_refused(bomb: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(bomb)


@pytest.mark.parametrize("value", [t.UByte(256), t.UInt(-1), t.Int(2**31), 2**63])
def test_a_number_out_of_range_cannot_be_encoded(value: int) -> None:
    with pytest.raises(ValueError, match="range"):
        encode(value)


def test_nan_survives() -> None:
    assert math.isnan(decode(encode(math.nan))[0])


def test_a_message_is_split_and_keeps_its_bytes() -> None:
    annotations = annotations_section(MESSAGE_ANNOTATIONS, {"x-opt-partition-key": "a"})
    header = header_section(Header(ttl=5000, delivery_count=2))
    properties = properties_section(Properties(message_id="m1", content_type=t.Symbol("a/b")))
    application = application_properties_section({"level": "1", "n": t.Int(3)})
    body = data_section(b"x" * 300)
    message = header + annotations + properties + application + body

    parts = split(message)

    assert parts.bare == properties + application + body
    assert parts.read_header() == Header(ttl=5000, delivery_count=2)
    assert parts.read_message_annotations() == {"x-opt-partition-key": "a"}
    assert parts.read_properties() == Properties(message_id="m1", content_type=t.Symbol("a/b"))
    assert parts.read_application_properties() == {"level": "1", "n": 3}
    assert parts.read_body() == b"x" * 300


@pytest.mark.parametrize("identity", ["m", t.ULong(7), UUID(int=5), b"\x00"])
def test_a_message_id_keeps_its_type(identity: Any) -> None:
    encoded = message_id(properties_section(Properties(message_id=identity)))
    assert encoded is not None
    assert same(decode(encoded)[0], identity)


def test_new_entries_replace_old_ones_and_leave_the_rest() -> None:
    section = annotations_section(MESSAGE_ANNOTATIONS, {"a": 1, "b": t.Timestamp(5)})
    section = extend_map(section, MESSAGE_ANNOTATIONS, {t.Symbol("a"): 2, t.Symbol("c"): "d"})
    assert split(section).read_message_annotations() == {"b": 5, "a": 2, "c": "d"}


def test_sections_out_of_order_are_refused() -> None:
    with pytest.raises(DecodeError):
        split(data_section(b"x") + application_properties_section({"a": "b"}))
    with pytest.raises(DecodeError):
        split(properties_section(Properties(to="a")) * 2)


def test_descriptors_of_full_width_are_understood() -> None:
    wide = b"\x00\x80" + struct.pack(">Q", 0x77) + encode("hello")
    assert split(wide).read_body() == "hello"
    assert split(value_section({"a": 1})).read_body() == {"a": 1}


def test_a_batch_holds_its_messages() -> None:
    one, two = data_section(b"1"), data_section(b"2")
    assert unbatch(data_section(one) + data_section(two), BATCHED) == [one, two]
    assert unbatch(one, 0) == [one]
