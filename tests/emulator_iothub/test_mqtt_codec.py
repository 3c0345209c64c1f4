"""The MQTT codec: every packet round-trips, and no bytes crash it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.iothub.mqtt_codec import MalformedPacket, PacketReader, decode, encode
from emulator.iothub.mqtt_packets import (
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Will,
)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80)
names = texts.filter(lambda text: text and not set(text) & set("#+"))
ids = st.integers(1, 0xFFFF)
payloads = st.binary(max_size=400)
wills = st.builds(Will, texts, payloads, st.integers(0, 2), st.booleans())


@st.composite
def connects(draw: st.DrawFn) -> Connect:
    username = draw(st.none() | texts)
    password = draw(st.none() | payloads) if username is not None else None
    return Connect(
        draw(texts),
        draw(st.booleans()),
        draw(st.integers(0, 0xFFFF)),
        username,
        password,
        draw(st.none() | wills),
    )


@st.composite
def publishes(draw: st.DrawFn) -> Publish:
    qos = draw(st.integers(0, 2))
    packet_id = draw(ids) if qos else None
    dup = draw(st.booleans()) if qos else False
    return Publish(draw(names), draw(payloads), qos, packet_id, dup, draw(st.booleans()))


filters = st.lists(st.tuples(texts.filter(bool), st.integers(0, 2)), min_size=1, max_size=5)
packets: st.SearchStrategy[Packet] = st.one_of(
    connects(),
    publishes(),
    st.builds(ConnAck, st.booleans(), st.integers(0, 5)),
    st.builds(PubAck, ids),
    st.builds(Subscribe, ids, filters.map(tuple)),
    st.builds(SubAck, ids, st.lists(st.sampled_from([0, 1, 2, 0x80]), max_size=5).map(tuple)),
    st.builds(Unsubscribe, ids, st.lists(texts.filter(bool), min_size=1, max_size=5).map(tuple)),
    st.builds(UnsubAck, ids),
    st.builds(PingReq),
    st.builds(PingResp),
    st.builds(Disconnect),
)


@given(st.lists(packets, max_size=4), st.integers(1, 50))
def test_packets_round_trip_however_the_stream_is_cut(sent: list[Packet], step: int) -> None:
    stream = b"".join(encode(packet) for packet in sent)
    reader = PacketReader(100_000)
    received: list[Packet] = []
    for start in range(0, len(stream), step):
        received += reader.feed(stream[start : start + step])
    assert received == sent


@given(st.binary(max_size=300))
def test_any_bytes_are_packets_or_malformed(data: bytes) -> None:
    with suppress(MalformedPacket):
        for packet in PacketReader(1000).feed(data):
            assert encode(packet)


@given(packets, st.data())
def test_a_damaged_packet_is_read_or_malformed(packet: Packet, data: st.DataObject) -> None:
    damaged = bytearray(encode(packet))
    damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    with suppress(MalformedPacket):
        list(PacketReader(1000).feed(bytes(damaged)))


@pytest.mark.parametrize(
    ("first", "body"),
    [
        (0x36, b"\0\1a\0\1"),  # QoS 3
        (0x38, b"\0\1a"),  # DUP with QoS 0
        (0x32, b"\0\1a\0\0"),  # packet identifier 0
        (0x30, b"\0\0"),  # empty topic
        (0x30, b"\0\3a/#"),  # wildcard
        (0x30, b"\0\2\xff\xfe"),  # not UTF-8
        (0x30, b"\0\1\0"),  # U+0000
        (0x30, b"\0\5ab"),  # cut short
        (0x80, b"\0\1\0\1a\0"),  # SUBSCRIBE without its flags
        (0x82, b"\0\1"),  # no filters
        (0x82, b"\0\1\0\1a\3"),  # QoS 3
        (0xA2, b"\0\1"),  # no filters
        (0xC0, b"x"),  # PINGREQ with a body
        (0xC1, b""),  # reserved flags
        (0x50, b"\0\1"),  # PUBREC
        (0xF0, b""),  # reserved type
        (0x10, b"\0\4MQTT\4\3\0\0\0\0"),  # reserved connect flag
        (0x10, b"\0\4MQTT\4\x42\0\0\0\1a\0\1p"),  # password without user name
        (0x10, b"\0\4MQTT\4\x0a\0\0\0\1a"),  # will QoS without a will
    ],
)
def test_malformed(first: int, body: bytes) -> None:
    with pytest.raises(MalformedPacket):
        decode(first, body)


def test_an_oversized_packet_is_refused_before_it_arrives() -> None:
    with pytest.raises(MalformedPacket, match="above 1000"):
        list(PacketReader(1000).feed(b"\x30\xe9\x07"))


def test_a_fifth_length_byte_is_refused() -> None:
    with pytest.raises(MalformedPacket, match="four bytes"):
        list(PacketReader(1 << 30).feed(b"\x30\xff\xff\xff\xff\x01"))
