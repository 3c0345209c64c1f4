"""Tickets: what lets one device download what one job brings, until the job ends.

A ticket is `{claims}.{mac}`, both base64url without padding. The claims are a JSON object with
`u` user id, `d` device id, `j` job id, `h` SHA-256 of the artifact in hex, `e` Unix time in ms at
which it expires, so that a fresh ticket is another one; the MAC is HMAC-SHA256 of
"mymote-ticket-v1\\n{claims}" with the service's ticket key.
It is worth nothing without the device's proof (`proof.py`) or after the job's end.
"""

import binascii
import hmac
import json
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import SecretStr

_DOMAIN = b"mymote-ticket-v1\n"  # nothing else that this key may ever authenticate starts so
_EPOCH, _MS = datetime.fromtimestamp(0, UTC), timedelta(milliseconds=1)
_FORM = re.compile(r"([A-Za-z0-9_-]{1,1000})\.([A-Za-z0-9_-]{43})")


class BadTicket(Exception):
    """This service did not make it."""


@dataclass(frozen=True)
class Ticket:
    """What a ticket says. `sha256` is hex; `expires_at` has whole milliseconds."""

    user_id: str
    device_id: str
    job_id: str
    sha256: str
    expires_at: datetime


def make(
    ticket_key: SecretStr,
    *,
    user_id: str,
    device_id: str,
    job_id: str,
    sha256: str,
    expires_at: datetime,
) -> str:
    """The same values make the same ticket; microseconds of `expires_at` are dropped."""
    claims = {"u": user_id, "d": device_id, "j": job_id, "h": sha256}
    text = json.dumps(claims | {"e": (expires_at - _EPOCH) // _MS}, separators=(",", ":"))
    encoded = _encoded(text.encode())
    return f"{encoded}.{_mac(ticket_key, encoded)}"


def read(ticket_key: SecretStr, ticket: str) -> Ticket:
    """What it says, also after it expired. Raises BadTicket."""
    form = _FORM.fullmatch(ticket)
    if form is None:
        raise BadTicket
    encoded, mac = form.groups()
    if not hmac.compare_digest(mac, _mac(ticket_key, encoded)):
        raise BadTicket
    try:
        claims: dict[str, Any] = json.loads(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
        return Ticket(
            user_id=claims["u"],
            device_id=claims["d"],
            job_id=claims["j"],
            sha256=claims["h"],
            expires_at=_EPOCH + claims["e"] * _MS,
        )
    # Made by another version of ours.
    except (binascii.Error, ValueError, KeyError, TypeError, OverflowError):
        raise BadTicket from None


def path_of(device_id: str, job_id: str) -> str:
    """The path of a job's file, for a ticket and a proof."""
    return f"/devices/{device_id}/jobs/{job_id}/file"


def address(public_url: str, device_id: str, job_id: str, ticket: str) -> str:
    """The `url` of an order. `public_url`: the setting `ota_public_url`."""
    return f"{public_url}{path_of(device_id, job_id)}?ticket={ticket}"


def _mac(ticket_key: SecretStr, encoded: str) -> str:
    key = ticket_key.get_secret_value().encode()
    return _encoded(hmac.digest(key, _DOMAIN + encoded.encode(), "sha256"))


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")
