"""How often a minute something is done: a bound for each of those who do it.

Counted in the memory of one process: where several serve the same, each grants the whole budget.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from shared.errors import TooMany

SHARED_IPV6_BITS = 64  # what one subscriber usually has
STRANGERS = 8192  # that are told apart; more would fill the memory


@dataclass(frozen=True)
class Budget:
    """What is left of a minute's calls; `reset` is the time until all are back, in seconds."""

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
    refusal names it.
    """

    def __init__(self, per_minute: int, what: str = "calls") -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._what = what

    async def spend(self, who: str) -> Budget:
        """Count one. Raises TooMany, and then it does not count."""
        granted = await self._limiter.hit(self._item, who)
        budget = await self._budget(who)
        if not granted:
            raise self._too_many(budget)
        return budget

    async def require_room(self, who: str) -> None:
        """Count nothing. Raises TooMany where one more would be too many."""
        if not await self._limiter.test(self._item, who):
            raise self._too_many(await self._budget(who))

    async def _budget(self, who: str) -> Budget:
        reset_at, remaining = await self._limiter.get_window_stats(self._item, who)
        reset = max(1, math.ceil(reset_at - time.time()))
        return Budget(self._item.amount, remaining, reset)

    def _too_many(self, budget: Budget) -> TooMany:
        return TooMany(
            f"These are more than {budget.limit} {self._what} a minute; wait {budget.reset} s, "
            "as Retry-After says.",
            retry_after=budget.reset,
        )


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
