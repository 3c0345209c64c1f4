"""Signatures: what they cover, and how one key takes over from another."""

from base64 import b64decode, b64encode
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from services.ota.logic.names import check_app_name, check_file_name
from services.ota.logic.signing import Signable, Signer
from shared.errors import InvalidRequest
from stack.local import LocalStack
from tests.ota.conftest import ota_settings

OLD, NEW = (SecretStr(b64encode(bytes([n]) * 32).decode()) for n in (1, 2))
ARTIFACT = Signable("app", "Pump", "1.0.0", 3, "00" * 32)
TEXT = st.text(max_size=6)


def test_a_key_is_rotated_by_its_forerunner() -> None:
    before, both, after = Signer.of([OLD]), Signer.of([NEW, OLD]), Signer.of([NEW])
    stored = before.sign(ARTIFACT)
    assert stored != both.sign(ARTIFACT) == after.sign(ARTIFACT)
    assert both.made(ARTIFACT, stored)
    assert not after.made(ARTIFACT, stored)  # a key that was taken away vouches for nothing
    new, old = both.published
    assert (new.active, old.active) == (True, False)
    assert before.published[0].signed_by == {}
    # A gateway that trusts the old key learns the new one.
    trusted = Ed25519PublicKey.from_public_bytes(b64decode(old.public_key))
    text = f"mymote-key-v1\n{new.public_key}\n".encode()
    trusted.verify(b64decode(new.signed_by[old.id]), text)
    learnt = Ed25519PublicKey.from_public_bytes(b64decode(new.public_key))
    learnt.verify(b64decode(after.sign(ARTIFACT)), ARTIFACT.text)


@pytest.mark.parametrize(
    "changed",
    [{"kind": "firmware"}, {"name": "Pump 2"}, {"version": "1.0.1"}, {"size": 4}, {"sha256": "0"}],
)
def test_a_signature_is_of_all_that_it_covers(changed: dict[str, str]) -> None:
    signer = Signer.of([OLD])
    stored = signer.sign(ARTIFACT)
    assert signer.made(ARTIFACT, stored)
    assert not signer.made(replace(ARTIFACT, **changed), stored)  # type: ignore[arg-type]
    assert not any(signer.made(ARTIFACT, other) for other in ("no base64", "", stored[4:]))


@given(TEXT, TEXT, TEXT, TEXT)
def test_no_two_artifacts_have_the_same_text(a: str, b: str, c: str, d: str) -> None:
    one, two = Signable("app", a, b, 1, ""), Signable("app", c, d, 1, "")
    for each in (one, two):
        try:
            check_app_name(each.name)
        except InvalidRequest:
            return
    if "\n" not in b + d and (a, b) != (c, d):
        assert one.text != two.text


@given(st.text())
def test_a_file_name_that_is_taken_is_a_name_alone(name: str) -> None:
    try:
        check_file_name(name)
    except InvalidRequest:
        return
    assert name not in (".", "..")
    assert not set(name) & set("/\\\r\n\0")
    assert len(name) <= 100


@pytest.mark.parametrize("seed", ["", "x", b64encode(b"0" * 31).decode(), "ÿ"])
def test_a_wrong_signing_key_keeps_the_service_from_starting(stack: LocalStack, seed: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        ota_settings(stack.endpoints, ota_signing_keys=[seed])
    assert [each["loc"][0] for each in refusal.value.errors()] == ["ota_signing_keys"]
