"""Continuation tokens: where a page ended, by the sort key of its last item.

They name no row count and no snapshot, so that they stay right while items are written,
and hold everything, so that they outlive a restart.
"""

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass

from emulator.cosmos.errors import bad_request, not_emulated
from emulator.store import Value

VERSION = 1
MAX_INTEGER = 2**63 - 1  # of SQLite
MAX_CHARACTERS = 7000  # a header line of 8 KB is the most that common HTTP clients take


@dataclass(frozen=True, slots=True)
class Continuation:
    """`after` is the sort key of the last item used up, ending in the item's number.

    `inside` results of the item after that were delivered (JOIN); `skip` are still to be
    passed over (OFFSET); `left` may still be delivered (TOP, LIMIT), None for all.
    """

    after: tuple[Value, ...] | None = None
    inside: int = 0
    skip: int = 0
    left: int | None = None


def encode(state: Continuation, query: str) -> str:
    """Raises 501 where the sort key is too long for a header."""
    fields = [VERSION, _fingerprint(query), state.after, state.inside, state.skip, state.left]
    token = base64.urlsafe_b64encode(json.dumps(fields).encode()).decode()
    if len(token) > MAX_CHARACTERS:
        raise not_emulated("Paging through results ordered by strings this long")
    return token


def decode(token: str, query: str, columns: int) -> Continuation:
    """Raises 400 for a token that is not one, or belongs to another query."""
    try:
        version, fingerprint, after, inside, skip, left = json.loads(
            base64.b64decode(token, altchars=b"-_", validate=True)
        )
    except (binascii.Error, ValueError, TypeError):
        raise bad_request("The continuation token cannot be read.") from None
    if version != VERSION or fingerprint != _fingerprint(query):
        raise bad_request("The continuation token belongs to another query.")
    counts = (inside, skip, 0 if left is None else left)
    well_formed = after is None or (
        isinstance(after, list) and len(after) == columns and all(map(_is_column, after))
    )
    if not well_formed or not all(type(n) is int and 0 <= n <= MAX_INTEGER for n in counts):
        raise bad_request("The continuation token cannot be read.")
    return Continuation(None if after is None else tuple(after), inside, skip, left)


def _is_column(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= MAX_INTEGER
    return value is None or isinstance(value, str | float)


def _fingerprint(query: str) -> str:
    return hashlib.sha256(query.encode("utf-8", "surrogatepass")).hexdigest()[:16]
