"""Tickets and proofs, as they are on the wire."""

import hashlib
import hmac
import json
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from services.ota.logic import proof, tickets
from services.ota.logic.proof import BadProof
from services.ota.logic.tickets import BadTicket, Ticket
from x400.ota_order import OtaKind, OtaOrder

KEY = SecretStr("k" * 43)
NOW = datetime(2026, 3, 14, 12, 0, 0, tzinfo=UTC)
DEVICE = "X400_8cb2237d0679ca88db6464eac60da96345513964"
JOB = "0b9a7a6e-6a0b-4a53-9c0e-6a1d0c6a2f11"
HASH = hashlib.sha256(b"app").hexdigest()
TICKET = tickets.make(
    KEY, user_id="u3f9c2d41a07be586", device_id=DEVICE, job_id=JOB, sha256=HASH, expires_at=NOW
)
PATH = tickets.path_of(DEVICE, JOB)
DEVICE_KEY = "9f6c0a" * 10


def test_a_ticket_is_what_its_description_says() -> None:
    claims, mac = TICKET.split(".")
    assert json.loads(_decoded(claims)) == {
        "u": "u3f9c2d41a07be586",
        "d": DEVICE,
        "j": JOB,
        "h": HASH,
        "e": int(NOW.timestamp()) * 1000,
    }
    message = b"mymote-ticket-v1\n" + claims.encode()
    assert _decoded(mac) == hmac.new(b"k" * 43, message, "sha256").digest()
    assert tickets.address("https://ota.example.com", DEVICE, JOB, TICKET) == (
        f"https://ota.example.com/devices/{DEVICE}/jobs/{JOB}/file?ticket={TICKET}"
    )


@given(st.text(max_size=60), st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1)))
def test_what_a_ticket_says_is_read_again(name: str, expires: datetime) -> None:
    expires = expires.replace(tzinfo=UTC)
    made = tickets.make(
        KEY, user_id=name, device_id=DEVICE, job_id=JOB, sha256=HASH, expires_at=expires
    )
    said = Ticket(
        name, DEVICE, JOB, HASH, expires.replace(microsecond=expires.microsecond // 1000 * 1000)
    )
    assert tickets.read(KEY, made) == said


def test_a_ticket_made_a_moment_later_is_another_one() -> None:
    later = tickets.make(
        KEY,
        user_id="u3f9c2d41a07be586",
        device_id=DEVICE,
        job_id=JOB,
        sha256=HASH,
        expires_at=NOW + timedelta(milliseconds=1),
    )
    assert later != TICKET


@given(st.integers(0, len(TICKET) - 1), st.characters(codec="utf-8"))
def test_a_ticket_with_another_character_is_refused(place: int, character: str) -> None:
    changed = TICKET[:place] + character + TICKET[place + 1 :]
    if changed == TICKET:
        return
    with pytest.raises(BadTicket):
        tickets.read(KEY, changed)


@settings(max_examples=30)
@given(st.one_of(st.text(), st.from_regex(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}", fullmatch=True)))
def test_nothing_but_a_ticket_is_taken(text: str) -> None:
    with pytest.raises(BadTicket):
        tickets.read(KEY, text)


def test_a_ticket_of_another_key_is_refused() -> None:
    with pytest.raises(BadTicket):
        tickets.read(SecretStr("l" * 43), TICKET)


def test_a_proof_is_what_its_description_says() -> None:
    made = proof.make(DEVICE_KEY, method="GET", path=PATH, ticket=TICKET, now=NOW)
    seconds = int(NOW.timestamp())
    message = f"GET\n/devices/{DEVICE}/jobs/{JOB}/file\n{TICKET}\n{seconds}".encode()
    mac = hmac.new(DEVICE_KEY.encode(), message, "sha256").hexdigest()
    assert made == f"{seconds}.{mac}"


@pytest.mark.parametrize("minutes", [-10, 0, 10])
def test_a_proof_is_good_while_the_clocks_agree(minutes: int) -> None:
    made = proof.make(
        DEVICE_KEY, method="GET", path=PATH, ticket=TICKET, now=NOW + timedelta(minutes=minutes)
    )
    proof.check(made, DEVICE_KEY, method="GET", path=PATH, ticket=TICKET, now=NOW)


@pytest.mark.parametrize(
    ("key", "method", "path", "ticket", "seconds", "words"),
    [
        ("8f6c0a" * 10, "GET", PATH, TICKET, 0, "this device's key"),
        (DEVICE_KEY, "HEAD", PATH, TICKET, 0, "this very method"),
        (DEVICE_KEY, "GET", PATH + "/", TICKET, 0, "path"),
        (DEVICE_KEY, "GET", PATH, TICKET[:-1], 0, "ticket"),
        (DEVICE_KEY, "GET", PATH, TICKET, 601, "clock"),
        (DEVICE_KEY, "GET", PATH, TICKET, -601, "clock"),
    ],
)
def test_a_proof_of_anything_else_is_refused(
    key: str, method: str, path: str, ticket: str, seconds: int, words: str
) -> None:
    made = proof.make(
        key, method=method, path=path, ticket=ticket, now=NOW + timedelta(seconds=seconds)
    )
    with pytest.raises(BadProof, match=words):
        proof.check(made, DEVICE_KEY, method="GET", path=PATH, ticket=TICKET, now=NOW)


def test_a_device_without_a_key_proves_nothing() -> None:
    made = proof.make("", method="GET", path=PATH, ticket=TICKET, now=NOW)
    with pytest.raises(BadProof, match="pair it again"):
        proof.check(made, "", method="GET", path=PATH, ticket=TICKET, now=NOW)


@settings(max_examples=30)
@given(st.one_of(st.text(), st.from_regex(r"[0-9]{1,12}\.[0-9a-f]{64}", fullmatch=True)))
def test_nothing_but_a_proof_is_taken(text: str) -> None:
    with pytest.raises(BadProof):
        proof.check(text, DEVICE_KEY, method="GET", path=PATH, ticket=TICKET, now=NOW)


def test_the_virtual_gateway_makes_the_same_proof() -> None:
    order = OtaOrder(
        kind=OtaKind.APP,
        job=JOB,
        name="Blinky",
        version="1.2.0",
        url=tickets.address("http://localhost:8001", DEVICE, JOB, TICKET),
        size=3,
        md5="",
        sha256=HASH,
        signature="",
    )
    header = order.proof(DEVICE_KEY, "GET", NOW.timestamp())
    proof.check(header[proof.HEADER], DEVICE_KEY, method="GET", path=PATH, ticket=TICKET, now=NOW)


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
