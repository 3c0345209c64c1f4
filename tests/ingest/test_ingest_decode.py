"""What an event means, and what is refused."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.logic.decode import MAX_MID, decode
from services.ingest.logic.events import (
    ConnectionChange,
    Data,
    Ignored,
    LifecycleChange,
    Malformed,
    ManagementEvent,
    Message,
    Notice,
    RawEvent,
    TwinChange,
)
from shared.schemas.contract import ConnectionState
from shared.schemas.messages import Level
from tests.ingest.made_events import DEVICE, NOON, raw_event


def message(raw: RawEvent) -> Message:
    content = decode(raw).content
    assert isinstance(content, Message)
    return content


def refusal(raw: RawEvent) -> str:
    content = message(raw).content
    assert isinstance(content, Malformed), content
    return content.reason


@given(st.binary(min_size=1, max_size=3750))
def test_a_data_body_is_kept_byte_for_byte(body: bytes) -> None:
    content = message(raw_event(body=body, content_type="x/y", user_route="r")).content
    assert content == Data(body, "x/y", "r")


@given(st.binary(max_size=100))
def test_a_notification_is_utf_8_or_malformed(body: bytes) -> None:
    content = message(raw_event(body=body, type="notification", level="3")).content
    try:
        assert content == Notice(Level.ALARM, body.decode())
    except UnicodeDecodeError:
        assert isinstance(content, Malformed)


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (raw_event(body=b""), "empty"),
        (raw_event(body=b"x" * 3751), "at most 3750"),
        (raw_event(type="telemetry"), "type 'telemetry'"),
        (raw_event(type=""), "type ''"),
        (raw_event(type="notification"), "level ''"),
        (raw_event(type="notification", level="4"), "level '4'"),
        (raw_event(type="notification", level="1", body=b"x" * 101), "at most 100"),
        (raw_event(type="notification", level="1", body=b"\xff"), "not UTF-8"),
        (raw_event(type=b"\xff"), "a property is not UTF-8"),
        (raw_event(user_route=b"\xff"), "a property is not UTF-8"),
        (raw_event(mid=b"\xff"), "a property is not UTF-8"),
        (raw_event(user_route="r" * 1001), "user_route"),
        (raw_event(type="management", body=b"{"), "not a management event"),
        (raw_event(type="management", body=b"[" * 3000), "not a management event"),
        (raw_event(type="management", body=b'{"event":"exploded"}'), "not a management event"),
        (raw_event(type="management", body=b"x" * 3751), "at most 3750"),
    ],
)
def test_what_breaks_a_rule_is_malformed_with_the_reason(raw: RawEvent, says: str) -> None:
    assert says in refusal(raw)


def test_a_management_detail_becomes_text() -> None:
    body = b'{"event":"network_changed","detail":{"to":"ethernet"}}'
    content = message(raw_event(type="management", body=body)).content
    assert content == ManagementEvent("network_changed", '{"to": "ethernet"}')


@pytest.mark.parametrize(
    ("mid", "number"),
    [("0", 0), ("42", 42), ("007", 7), (str(MAX_MID), MAX_MID), (str(MAX_MID + 1), None),
     ("9" * 40, None), ("-1", None), ("1.0", None), ("a", None), ("٣", None), ("", None)],
)  # fmt: skip
def test_only_decimal_mids_are_numbers(mid: str, number: int | None) -> None:
    assert message(raw_event(mid=mid)).number == number


@given(st.timedeltas(min_value=timedelta(days=-400), max_value=timedelta(days=400)))
def test_a_clock_that_is_far_off_is_replaced_by_the_hubs(off: timedelta) -> None:
    claimed = NOON + off
    decoded = message(raw_event(created=claimed.isoformat()))
    near = timedelta(days=-30) <= off <= timedelta(minutes=5)
    assert decoded.created_at == (claimed if near else NOON)
    assert decoded.claimed_at == claimed


@given(st.text(alphabet="0123456789-+:.TZW ", max_size=40))
def test_a_creation_time_of_any_form_breaks_nothing(text: str) -> None:
    created_at = message(raw_event(created=text)).created_at
    assert NOON - timedelta(days=30) <= created_at <= NOON + timedelta(minutes=5)


@pytest.mark.parametrize("written", ["2026-05-04T11:59:00Z", "2026-05-04T13:59:00+02:00"])
def test_creation_times_are_read_in_utc(written: str) -> None:
    expected = datetime(2026, 5, 4, 11, 59, tzinfo=UTC)
    assert message(raw_event(created=written)).created_at == expected


def test_device_and_source_are_not_what_the_device_writes() -> None:
    properties = {"iothub-connection-device-id": "X400_other", "iothub-message-source": "x"}
    event = decode(raw_event(**properties))  # type: ignore[arg-type]
    assert event.device_id == DEVICE
    assert isinstance(event.content, Message)


def test_state_events() -> None:
    connected = raw_event(source="deviceConnectionStateEvents", opType="deviceConnected")
    assert decode(connected).content == ConnectionChange(ConnectionState.CONNECTED)
    gone = raw_event(source="deviceLifecycleEvents", opType="deleteDeviceIdentity")
    assert decode(gone).content == LifecycleChange(deleted=True)
    assert isinstance(decode(raw_event(source="dataplane")).content, Ignored)
    assert isinstance(decode(raw_event(device_id="a/b")).content, Ignored)


def test_reported_properties_of_interest_are_taken_and_bad_ones_left_out() -> None:
    body = (
        b'{"version":4,"properties":{"reported":{"fwversion":"1.2.3","app_name":7,'
        b'"ICCID":null,"connectivity":"' + b"x" * 65 + b'","ota_app":{},"$version":9}}}'
    )
    content = decode(raw_event(source="twinChangeEvents", body=body)).content
    assert content == TwinChange({"fwversion": "1.2.3", "ICCID": ""})


@given(st.binary(max_size=60))
def test_a_twin_event_of_any_form_breaks_nothing(body: bytes) -> None:
    assert isinstance(decode(raw_event(source="twinChangeEvents", body=body)).content, TwinChange)
