"""The master-key signature that every request carries.

REST reference, "Access control on Cosmos DB resources": HMAC-SHA256 of verb, resource type,
resource link, `x-ms-date` and `date`, each followed by a newline, all but the link in lower
case. Where the SDKs take an id for a resource id (eight characters that are valid base64,
as in `mymotedb`), they sign only the last id of the link, in lower case: both are accepted.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote

from emulator.cosmos.errors import CosmosError

MAX_SKEW_SECONDS = 15 * 60


def authorize(
    key: bytes, headers: Mapping[str, str], verb: str, resource_type: str, link: str
) -> None:
    """Check the signature. Raises CosmosError: 401 for a wrong one, 403 for a stale date."""
    token = _parse(headers.get("authorization", ""))
    if token.get("type") == "aad":
        raise CosmosError(401, "Entra ID tokens are not emulated; sign with the account's key.")
    if token.get("type") != "master" or token.get("ver") != "1.0":
        raise CosmosError(401, "The authorization header must be type=master&ver=1.0&sig=...")
    date = headers.get("x-ms-date", "")
    http_date = headers.get("date", "")
    try:
        signature = base64.b64decode(token.get("sig", ""), validate=True)
    except binascii.Error:
        signature = b""
    fixed = f"{verb.lower()}\n{resource_type}\n%s\n{date.lower()}\n{http_date.lower()}\n"
    payload = fixed % link
    candidates = [payload]
    if link.startswith("dbs/"):
        candidates.append(fixed % link.rpartition("/")[2].lower())
    if not any([_signed(key, candidate, signature) for candidate in candidates]):  # noqa: C419 - constant time
        raise CosmosError(
            401,
            "The input authorization token can't serve the request. Please check that the "
            "expected payload is built as per the protocol, and check the key being used. "
            f"Server used the following payload to sign: {payload!r}",
        )
    _check_date(date or http_date)


def _parse(header: str) -> dict[str, str]:
    # The whole header is percent-encoded; a decoded signature may hold "+", which is no space.
    return dict(parse_qsl(unquote(header).replace("+", "%2B")))


def _signed(key: bytes, payload: str, signature: bytes) -> bool:
    return hmac.compare_digest(hmac.digest(key, payload.encode(), hashlib.sha256), signature)


def _check_date(text: str) -> None:
    try:
        skew = abs(parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        raise CosmosError(401, "x-ms-date must be an RFC 1123 date.") from None
    if skew > MAX_SKEW_SECONDS:
        raise CosmosError(
            403,
            "The authorization token is not valid at the current time. Please create another "
            f"token and retry (x-ms-date {text}, tolerance {MAX_SKEW_SECONDS} seconds).",
        )
