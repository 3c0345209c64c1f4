"""Messages between sender, store and receiver, and durations of the administration."""

import struct
from typing import Any

import pytest
from azure.servicebus import ServiceBusReceivedMessage
from hypothesis import given
from hypothesis import strategies as st

from emulator.amqp.message import (
    BATCHED,
    MESSAGE_ANNOTATIONS,
    Header,
    Properties,
    annotations_section,
    application_properties_section,
    data_section,
    header_section,
    properties_section,
    section,
    split,
)
from emulator.amqp.node import AmqpError
from emulator.amqp.types import Symbol, Timestamp, ULong
from emulator.servicebus.entity import Delivery
from emulator.servicebus.envelope import amend, parse, render
from emulator.servicebus.iso8601 import FOREVER, FOREVER_MS, format_duration, parse_duration
from emulator.servicebus.log import Row

WHOLE = (
    header_section(Header(ttl=5000))
    + annotations_section(MESSAGE_ANNOTATIONS, {"x-opt-partition-key": "p"})
    + properties_section(Properties(message_id="m", content_type="text/plain"))  # type: ignore[arg-type]  # made a symbol when encoded
    + application_properties_section({"a": 1})
    + data_section(b"body")
)


def delivered(payload: bytes, **fields: Any) -> ServiceBusReceivedMessage:
    """What the official client makes of a delivery."""
    values = {
        "sequence": 7,
        "state": 0,
        "enqueued_at": 1_800_000_000_000,
        "enqueued_sequence": 6,
        "ttl": None,
        "expires_at": None,
        "delivery_count": 2,
        "size": 1,
        "payload": payload,
    }
    return ServiceBusReceivedMessage.from_bytes(render(Delivery(Row(**values | fields), b"", None)))


def test_a_message_is_read_as_sent() -> None:
    (message,) = parse(WHOLE)
    assert (message.message_id, message.ttl, message.scheduled_at) == ("m", 5000, None)
    assert split(message.payload).bare == split(WHOLE).bare


def test_the_brokers_annotations_cannot_be_forged() -> None:
    forged = annotations_section(
        MESSAGE_ANNOTATIONS,
        {
            "x-opt-sequence-number": 99,
            "x-opt-locked-until": Timestamp(1),
            "x-opt-scheduled-enqueue-time": Timestamp(5),
            "mine": "kept",
        },
    )
    (message,) = parse(forged + data_section(b"x"))
    assert message.scheduled_at == 5
    annotations = delivered(message.payload).raw_amqp_message.annotations
    assert annotations is not None
    assert annotations[b"x-opt-sequence-number"] == 7
    assert annotations[b"mine"] == b"kept"
    assert b"x-opt-locked-until" not in annotations


@given(
    ttl=st.none() | st.integers(0, FOREVER_MS),
    count=st.integers(0, 2**31),
    keys=st.dictionaries(st.text("abc", min_size=1), st.text(max_size=300), max_size=5),
)
def test_a_delivery_is_encoded_right(ttl: int | None, count: int, keys: dict[str, str]) -> None:
    stored = annotations_section(MESSAGE_ANNOTATIONS, keys) + data_section(b"x")
    message = delivered(stored, ttl=ttl, delivery_count=count)
    assert message.delivery_count == count
    assert (message.sequence_number, message.enqueued_sequence_number) == (7, 6)
    assert message.raw_amqp_message.header is not None
    assert message.raw_amqp_message.header.time_to_live == (ttl and min(ttl, 2**32 - 1))
    annotations = message.raw_amqp_message.annotations or {}
    assert {key: annotations[key.encode()] for key in keys} == {
        key: value.encode() for key, value in keys.items()
    }


def test_amending_adds_and_replaces_properties() -> None:
    (message,) = parse(WHOLE)
    amended = delivered(amend(message.payload, {"a": 2, "DeadLetterReason": "r", "none": None}))
    assert amended.application_properties == {b"a": 2, b"DeadLetterReason": b"r"}
    assert amended.dead_letter_reason == "r"
    assert (amended.message_id, b"".join(amended.body)) == ("m", b"body")


def test_a_batch_is_taken_apart() -> None:
    batch = b"".join(data_section(data_section(bytes([n]))) for n in range(3))
    assert [message.payload[-1] for message in parse(batch, BATCHED)] == [0, 1, 2]


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"garbage",
        WHOLE[:-1],
        header_section(Header()),
        section(0x74, ["a list"]) + data_section(b"x"),
        section(0x72, {"ä": 1}) + data_section(b"x"),
        section(0x72, {Symbol("x-opt-scheduled-enqueue-time"): ULong(2**63)}) + data_section(b"x"),
        properties_section(Properties(message_id="x" * 129)) + data_section(b"x"),
    ],
)
def test_a_bad_message_is_refused(bad: bytes) -> None:
    with pytest.raises(AmqpError):
        parse(bad)


@given(position=st.integers(0, len(WHOLE) - 1), byte=st.integers(0, 255))
def test_a_damaged_message_is_refused_or_can_be_amended(position: int, byte: int) -> None:
    damaged = WHOLE[:position] + struct.pack("B", byte) + WHOLE[position + 1 :]
    try:
        (message,) = parse(damaged)
    except AmqpError:
        return
    amend(message.payload, {"DeadLetterReason": "r"})


@given(st.integers(0, FOREVER_MS))
def test_durations_are_read_as_written(milliseconds: int) -> None:
    assert (
        abs(parse_duration(format_duration(milliseconds)) - milliseconds) <= milliseconds // 2**50
    )


def test_durations() -> None:
    assert parse_duration("PT1M30S") == 90_000
    assert parse_duration("P1DT0.5S") == 86_400_500
    assert parse_duration(FOREVER) == FOREVER_MS
    assert format_duration(0) == "PT0S"
    for wrong in ("", "P", "PT", "P1M", "1H", "PT-1S", "P1DT", "PT" + "9" * 99 + "S"):
        with pytest.raises(ValueError, match="duration"):
            parse_duration(wrong)
