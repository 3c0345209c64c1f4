"""A device's proof: beside a ticket, that whoever downloads has the device's key.

The header `X-Device-Proof: {t}.{mac}`: `t` is the Unix time in seconds, `mac` in lower-case hex
HMAC-SHA256 with the device key's ASCII bytes as the key, of the UTF-8 bytes of

    {method}\\n{path}\\n{ticket}\\n{t}

without a newline at the end. `path` is the address's path without its query, so that a proof is
good for one method, one file and one ticket, and for ten minutes either way.
"""

import hmac
import re
from datetime import datetime, timedelta

HEADER = "X-Device-Proof"
CLOCKS_DIFFER = timedelta(minutes=10)  # at most
_FORM = re.compile(r"([0-9]{1,11})\.([0-9a-f]{64})")


class BadProof(Exception):
    """It proves nothing; the message says what to do about it."""


def make(device_key: str, *, method: str, path: str, ticket: str, now: datetime) -> str:
    """The header's value."""
    return _made(device_key, method, path, ticket, str(int(now.timestamp())))


def check(
    proof: str, device_key: str, *, method: str, path: str, ticket: str, now: datetime
) -> None:
    """Raises BadProof. `proof` is the header's value, "" for none."""
    if not device_key:
        raise BadProof("This device has no key here, so that nothing proves it: pair it again.")
    if not proof:
        raise BadProof(f"The header {HEADER} is missing: prove that this is the device.")
    form = _FORM.fullmatch(proof)
    if form is None:
        raise BadProof(f"The header {HEADER} is '{{Unix seconds}}.{{64 lower-case hex digits}}'.")
    seconds = form.group(1)
    if not hmac.compare_digest(proof, _made(device_key, method, path, ticket, seconds)):
        raise BadProof(
            f"The header {HEADER} was not made with this device's key for this very method, path, "
            "ticket and time."
        )
    if abs(int(seconds) - now.timestamp()) > CLOCKS_DIFFER.total_seconds():
        raise BadProof(
            f"The header {HEADER} was made at another time: it is {int(now.timestamp())} here. "
            "Set the clock, and make a new proof for each request."
        )


def _made(device_key: str, method: str, path: str, ticket: str, seconds: str) -> str:
    message = f"{method}\n{path}\n{ticket}\n{seconds}".encode()
    return f"{seconds}.{hmac.digest(device_key.encode(), message, 'sha256').hex()}"
