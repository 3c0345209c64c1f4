"""What a gateway makes of any order and any list of keys, without a network."""

import base64
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import event, given, settings
from hypothesis import strategies as st

from tests.x400.ota_server import public, published
from x400.installed import Installed
from x400.ota_order import OtaKind, OtaOrder, OtaRejectedError, fingerprint, job_of
from x400.ota_trust import TrustedKeys
from x400.settings import GatewaySettings
from x400.store import Store

GOOD: dict[str, Any] = {
    "job": "j",
    "name": "Pump watch",
    "version": "1.2.3",
    "url": "https://ota.example.com/devices/d/jobs/j/file?ticket=a.b",
    "size": 3,
    "md5": base64.b64encode(bytes(16)).decode(),
    "sha256": "0" * 64,
    "signature": base64.b64encode(bytes(64)).decode(),
}
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=[]))
    | st.sampled_from([*GOOD.values(), "http://x/\ud800?ticket=t", "http://[::1?ticket=t"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@settings(max_examples=60)
@given(st.dictionaries(st.sampled_from(sorted(GOOD)), JSON) | JSON)
def test_any_order_is_read_or_rejected(changes: object) -> None:
    value = GOOD | changes if isinstance(changes, dict) else changes
    fingerprint(value)
    assert isinstance(job_of(value), str)
    try:
        order = OtaOrder.parse(OtaKind.APP, value)
    except OtaRejectedError as error:
        event(str(error))
        return
    assert order.size > 0
    assert order.proof("k" * 64, "GET", 1_700_000_000)


def test_the_bytes_that_are_signed_and_proven() -> None:
    order = OtaOrder.parse(OtaKind.FIRMWARE, GOOD)
    expected = f"mymote-artifact-v1\nfirmware\nPump watch\n1.2.3\n3\n{'0' * 64}\n"
    assert order.signed() == expected.encode()
    # echo -en 'GET\n/devices/d/jobs/j/file\na.b\n1700000000' | openssl dgst -sha256 -hmac kkkk
    proof = "376503fc0d29f8df38b25d3a7f15abffd6eac6e792bf5163c56bc05efe223a82"
    assert order.proof("kkkk", "GET", 1_700_000_000.9) == {"X-Device-Proof": f"1700000000.{proof}"}


@pytest.mark.parametrize(
    ("kind", "name"), [("app", "Family 👨‍👩‍👧"), ("app", "a\u00a0b"), ("firmware", "")]
)
def test_names_that_the_platform_takes(kind: str, name: str) -> None:
    assert OtaOrder.parse(OtaKind(kind), GOOD | {"name": name}).name == name


def test_secrets_of_an_order_are_not_shown() -> None:
    assert "a.b" not in repr(OtaOrder.parse(OtaKind.APP, GOOD))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "x.db", "normal")


def test_trust_goes_from_key_to_key_and_falls_with_the_first(store: Store) -> None:
    a, b, c, stranger = (Ed25519PrivateKey.generate() for _ in range(4))

    def verifies(keys: TrustedKeys, key: Ed25519PrivateKey) -> bool:
        return keys.verifies(b"x", base64.b64encode(key.sign(b"x")).decode())

    keys = TrustedKeys(store, [public(a)])
    keys.learn({"keys": [published(c, b), published(b, a), published(stranger, stranger)]})
    assert [verifies(keys, key) for key in (a, b, c, stranger)] == [True, True, True, False]
    again = TrustedKeys(store, [public(a)])
    assert [verifies(again, key) for key in (a, b, c, stranger)] == [True, True, True, False]
    other = TrustedKeys(store, [public(c)])
    assert [verifies(other, key) for key in (a, b, c)] == [False, False, True]


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("keys") / "x.db", "normal")


@settings(max_examples=30)
@given(JSON)
def test_any_list_of_keys_is_read(empty: Store, document: object) -> None:
    keys = TrustedKeys(empty, [])
    keys.learn({"keys": document})
    keys.learn({"keys": [{"public_key": document, "signed_by": document}]})
    assert not keys


def test_a_wrong_key_in_the_settings_is_named() -> None:
    with pytest.raises(ValueError, match="base64 of 32 bytes"):
        GatewaySettings(ota_public_keys=["abc"])


def test_an_installed_app_is_known_even_if_a_kill_comes_before_it_begins(store: Store) -> None:
    Installed(store, "1.0.0").begun({"app_name": "old", "app_version": "1.0.0"})
    with store.transaction() as db:
        Installed(store, "1.0.0").write(db, OtaOrder.parse(OtaKind.APP, GOOD))
    app = Installed(store, "1.0.0").app()
    assert app == {"app_name": "Pump watch", "app_version": "1.2.3"}
