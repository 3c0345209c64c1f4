"""How many calls a minute are answered: a bound for each API key, session and address.

Counted in the memory of one process: where several serve the api, each grants the whole budget.
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
    """At most `per_minute` calls in any minute, for each of those who call."""

    def __init__(self, per_minute: int) -> None:
        self._item = RateLimitItemPerMinute(per_minute)
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    async def spend(self, who: str) -> Budget:
        """Count one call. Raises TooMany, and then the call does not count."""
        granted = await self._limiter.hit(self._item, who)
        reset_at, remaining = await self._limiter.get_window_stats(self._item, who)
        reset = max(1, math.ceil(reset_at - time.time()))
        if not granted:
            raise TooMany(
                f"These are more than {self._item.amount} calls a minute; wait {reset} s, "
                "as Retry-After says.",
                retry_after=reset,
            )
        return Budget(self._item.amount, remaining, reset)


@dataclass(frozen=True)
class RateLimits:
    """One budget for all calls of a key or session, a smaller one for those that change things,
    and one for an address whose calls nobody vouches for."""

    calls: RateLimit
    writes: RateLimit
    strangers: RateLimit


def new_rate_limits(calls: int, writes: int, strangers: int) -> RateLimits:
    """Nothing spent yet. Each is a number of calls a minute."""
    return RateLimits(RateLimit(calls), RateLimit(writes), RateLimit(strangers))


def address_group(address: str) -> str:
    """Addresses that count as one: an IPv6 subscriber has 2^64 of them."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{IPv6Address(int(parsed) >> SHARED_IPV6_BITS << SHARED_IPV6_BITS)}/64"
    return address
