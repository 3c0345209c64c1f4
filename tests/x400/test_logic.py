"""Pure logic: topics, credentials, back-off, network settings, the demo's pace, the fleet file."""

import base64
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from emulator.sas import SasError, SasToken
from tests.x400.gateways import MakeSettings
from x400.backoff import Backoff
from x400.credentials import DeviceCredentials
from x400.demo import EAGER_INTERVAL, EAGER_SECONDS, KEPT_FOR_THE_DAY, next_reading
from x400.errors import ErrorCode, IomoteError
from x400.messages import Draft, Kind, Level, Stored
from x400.methods import RebootOrder, reboot_order
from x400.network import ApnConfig, EthernetConfig
from x400.quota import seconds_left
from x400.running import read_fleet

KEY = base64.b64encode(b"a device's key").decode()
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)


@given(route=TEXT, content_type=TEXT)
def test_a_topic_carries_any_property(route: str, content_type: str) -> None:
    draft = Draft(Kind.NOTIFICATION, b"x", Level.ALARM, content_type, None, route)
    topic = Stored(1_700_000_000_001, 1_700_000_000_250, draft).topic("X400_1")
    prefix, _, bag = topic.rpartition("/")
    assert prefix == "devices/X400_1/messages/events"
    assert not set(bag) & set("#+/ \0")
    pairs = [part.partition("=")[::2] for part in bag.split("&")]
    assert {unquote(k): unquote(v) for k, v in pairs} == {
        "$.mid": "1700000000001",
        "$.ctime": "2023-11-14T22:13:20.250Z",
        "$.ct": content_type,
        "type": "notification",
        "level": "3",
        "user_route": route,
    }


def test_a_connection_string_is_read() -> None:
    credentials = DeviceCredentials.parse(
        f"HostName=hub.example:8884;DeviceId=X400_1;SharedAccessKey={KEY}"
    )
    assert (credentials.host, credentials.port) == ("hub.example", 8884)
    assert credentials.username == "hub.example/X400_1/?api-version=2021-04-12"
    assert KEY not in repr(credentials)
    assert b"device's key" not in repr(credentials).encode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "HostName=h;DeviceId=d",
        f"HostName=h:0;DeviceId=d;SharedAccessKey={KEY}",
        f"HostName=h:x;DeviceId=d;SharedAccessKey={KEY}",
        f"HostName=h;DeviceId=../d;SharedAccessKey={KEY}",
        "HostName=h;DeviceId=d;SharedAccessKey=not base64!",
    ],
)
def test_a_wrong_connection_string_is_refused_without_its_key(text: str) -> None:
    with pytest.raises(ValueError, match=r"connection string") as refused:
        DeviceCredentials.parse(text)
    assert KEY not in str(refused.value)
    assert "not base64!" not in str(refused.value)


def test_a_token_is_the_hubs() -> None:
    credentials = DeviceCredentials.parse(f"HostName=Hub;DeviceId=d;SharedAccessKey={KEY}")
    token = SasToken.parse(credentials.sas_token(4_000_000_000))
    token.verify(credentials.key, "hub/devices/d")
    assert token.expiry == 4_000_000_000
    with pytest.raises(SasError):
        token.verify(b"another key", "hub/devices/d")


@given(
    st.floats(min_value=0.01, max_value=10),
    st.floats(min_value=0.01, max_value=1000),
    st.integers(min_value=1, max_value=80),
)
def test_back_off_grows_to_its_maximum_and_is_never_hot(
    initial: float, maximum: float, attempts: int
) -> None:
    assume(maximum >= initial)
    backoff = Backoff(initial, maximum)
    for attempt in range(attempts):
        ceiling = min(maximum, initial * 2**attempt)
        assert ceiling / 2 <= backoff.next() <= ceiling * 1.0001
    backoff.reset()
    assert backoff.next() <= initial


@given(
    running=st.floats(min_value=0, max_value=90_000),
    now=st.floats(min_value=1.7e9, max_value=1.9e9),
    left=st.integers(min_value=0, max_value=100),
)
def test_the_demos_readings_last_the_day(running: float, now: float, left: int) -> None:
    interval = next_reading(running, now, left)
    assert interval >= min(EAGER_INTERVAL, seconds_left(now))
    if running < EAGER_SECONDS and left > KEPT_FOR_THE_DAY:
        assert interval == EAGER_INTERVAL
    elif interval > EAGER_INTERVAL:
        # With what is left the readings reach midnight.
        assert interval * max(left, 1) >= seconds_left(now) - 1


def test_a_whole_day_of_the_demo_stays_within_the_quota() -> None:
    midnight = 20_000 * 86400.0
    now, left, sent_at = midnight + 1, 100, [midnight]
    while now < midnight + 86400:
        if left:
            left -= 1
            sent_at.append(now)
        now += next_reading(now - midnight, now, left)
    assert left <= 2
    gaps = [later - earlier for earlier, later in pairwise(sent_at[13:])]
    assert max(gaps) < 2 * min(gaps)
    assert sent_at[-1] > midnight + 86400 - 2 * max(gaps)


def test_a_day_with_restarts_and_presses_stays_within_the_quota() -> None:
    midnight = 20_000 * 86400.0
    restarts = [midnight + hour * 3600 for hour in (6, 6.01, 12, 18, 23.9)]
    presses = [midnight + 1800.5 * n for n in range(1, 20)]
    now, began, left, sent_at = midnight + 1, midnight + 1, 100, [midnight]
    while now < midnight + 86400:
        if left:
            left -= 1
            sent_at.append(now)
        due = now + next_reading(now - began, now, left)
        pressed = len([press for press in presses if now < press <= due])
        left = max(0, left - pressed)  # the button sends beside the timer, which stays as it is
        restart = next((at for at in restarts if now < at < due), None)
        if restart is not None:
            began = due = restart
        now = due
    assert len(sent_at) + len(presses) <= 101
    assert sent_at[-1] > midnight + 86400 - 2 * 3600


def test_ethernet_settings() -> None:
    raw = bytes([1, 192, 168, 0, 9, 255, 255, 255, 0, 192, 168, 0, 1, 9, 9, 9, 9])
    config = EthernetConfig.from_bytes(raw)
    config.check()
    assert config == EthernetConfig(False, "192.168.0.9", "255.255.255.0", "192.168.0.1", "9.9.9.9")
    for wrong in (
        EthernetConfig(False, "192.168.0.900", "255.255.255.0"),
        EthernetConfig(False, "192.168.0.9", "255.0.255.0"),
        EthernetConfig(False, "0.0.0.0", "255.255.255.0"),
    ):
        with pytest.raises(IomoteError) as refused:
            wrong.check()
        assert refused.value.code == ErrorCode.IOMOTE_ERR_DHCP_VAL
    with pytest.raises(IomoteError):
        EthernetConfig.from_bytes(raw[:-1])
    with pytest.raises(IomoteError):
        EthernetConfig.from_bytes(b"\x07" + raw[1:])


def test_apn_settings() -> None:
    config = ApnConfig.from_text("1 apn.example user secret   ")
    assert (config.server, config.ip, config.dns2) == ("apn.example", "", "")
    assert "secret" not in repr(config)
    for wrong in ("", "1 too many fields here a b c", "x apn u p   "):
        with pytest.raises(IomoteError):
            ApnConfig.from_text(wrong)


@pytest.mark.parametrize(
    ("payload", "order"),
    [
        (b"", RebootOrder()),
        (b"null", RebootOrder()),
        (b"{}", RebootOrder()),
        (b'{"wipe": true}', RebootOrder(wipe=True)),
        (b'{"wipe": 1}', None),
        (b"[true]", None),
        (b"{", None),
        (b"\xff", None),
    ],
)
def test_reboot_payloads(payload: bytes, order: RebootOrder | None) -> None:
    assert reboot_order(payload) == order


def test_a_fleet_file(tmp_path: Path, make_settings: MakeSettings) -> None:
    file = tmp_path / "fleet"
    one = f"HostName=h;DeviceId=a;SharedAccessKey={KEY}"
    two = f"HostName=h;DeviceId=b;SharedAccessKey={KEY}"
    file.write_text(f"# two gateways\n{one} key-a\n\n{two},key-b\n")
    fleet = read_fleet(file, make_settings())
    assert [s.credentials().device_id for s in fleet] == ["a", "b"]
    assert [s.key() for s in fleet] == ["key-a", "key-b"]
    file.write_text(f"{one}\n{one}\n")
    with pytest.raises(ValueError, match="line 2: a is there already"):
        read_fleet(file, make_settings())
    file.write_text(f"{one}\nHostName=h\n")
    with pytest.raises(ValueError, match="line 2") as refused:
        read_fleet(file, make_settings())
    assert KEY not in str(refused.value)
