"""Wrong keys, counted by where they come from: each costs a look into the database."""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass, field

from shared.rate_limit import RateLimit, stranger

KEPT = 10_000  # keys that were right, those used last


@dataclass
class WrongKeys:
    """Once too many were wrong that came from an address, only keys from there are looked up that
    were right before: a neighbour's guesses do not lock out who calls already.

    `limit` is for each address; who shares one and is new waits a minute at most after the last
    wrong key.
    """

    limit: RateLimit
    _right: OrderedDict[bytes, None] = field(default_factory=OrderedDict, repr=False)

    def require_room(self, address: str, key: str) -> None:
        """Before `key` is looked up. Raises TooMany."""
        if _hash(key) not in self._right:
            self.limit.require_room(stranger(address))

    def was_wrong(self, address: str, key: str) -> None:
        """Count it. Raises TooMany where others at the same time were too many already."""
        self._right.pop(_hash(key), None)
        self.limit.spend(stranger(address))

    def was_right(self, key: str) -> None:
        """Have it looked up from now on, whatever else comes from its address."""
        hashed = _hash(key)
        self._right[hashed] = None
        self._right.move_to_end(hashed)
        if len(self._right) > KEPT:
            self._right.popitem(last=False)


def new_wrong_keys(per_minute: int) -> WrongKeys:
    """None counted yet."""
    return WrongKeys(RateLimit(per_minute, "wrong keys from your address"))


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode(errors="replace")).digest()
