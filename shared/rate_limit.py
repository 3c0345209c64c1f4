"""How often a minute something is done: a bound for each of those who do it.

Counted in the memory of one process: where several serve the same, each grants the whole budget.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv6Address, ip_address

from shared.errors import TooMany

MINUTE = 60  # seconds
SHARED_IPV6_BITS = 64  # what one subscriber usually has
STRANGERS = 8192  # that are told apart; more would fill the memory


@dataclass(frozen=True)
class Budget:
    """What is left of a minute's calls; `reset` is the time until there are more, in seconds."""

    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> Mapping[str, str]:
        """As replies tell it."""
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class RateLimit:
    """About `per_minute` calls a minute, for each of those who call.

    Counted by minutes of the clock; of the minute before, that share counts which is not over for
    longer than a minute. So twice as many may come around a minute's turn. `what` is counted; the
    refusal names it. It keeps who called in these two minutes, and looks at no others: a call
    costs the same however many call.
    """

    def __init__(self, per_minute: int, what: str = "calls") -> None:
        self._per_minute = per_minute
        self._what = what
        self._minute = 0.0
        self._counts: dict[str, int] = {}
        self._before: dict[str, int] = {}

    def spend(self, who: str) -> Budget:
        """Count one. Raises TooMany, and then it does not count."""
        budget = self.require_room(who)
        self._counts[who] = self._counts.get(who, 0) + 1
        return replace(budget, remaining=budget.remaining - 1)

    def require_room(self, who: str) -> Budget:
        """Count nothing. Raises TooMany where one more would be too many."""
        budget = self._budget(who)
        if not budget.remaining:
            raise TooMany(
                f"These are more than {budget.limit} {self._what} a minute; wait {budget.reset} s, "
                "as Retry-After says.",
                retry_after=budget.reset,
            )
        return budget

    def _budget(self, who: str) -> Budget:
        minute, second = divmod(time.time(), MINUTE)
        if minute != self._minute:
            self._before = self._counts if minute == self._minute + 1 else {}
            self._counts, self._minute = {}, minute
        left, before = MINUTE - second, self._before.get(who, 0)
        counted = math.floor(before * left / MINUTE) + self._counts.get(who, 0)
        wait = left % (MINUTE / before) if before else left  # until one less counts
        reset = max(1, math.ceil(wait))
        return Budget(self._per_minute, max(0, self._per_minute - counted), reset)


def address_group(address: str) -> str:
    """Addresses that count as one: an IPv6 subscriber has 2^64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{IPv6Address(int(parsed) >> SHARED_IPV6_BITS << SHARED_IPV6_BITS)}/64"
    return address


def stranger(address: str) -> str:
    """Whom a call from this address counts for. Some share a count, and nobody can choose with
    whom: Python salts its hashes in each process."""
    return str(hash(address_group(address)) % STRANGERS)
