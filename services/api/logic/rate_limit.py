"""How many calls a minute are answered: a bound for each API key, session and address."""

from dataclasses import dataclass

from shared.rate_limit import RateLimit
from shared.wrong_keys import WrongKeys, new_wrong_keys


@dataclass(frozen=True)
class RateLimits:
    """One budget for all calls of a key or session, a smaller one for those that change things,
    one for an address whose calls nobody vouches for, and one for the wrong keys from there that
    are looked up at all."""

    calls: RateLimit
    writes: RateLimit
    strangers: RateLimit
    wrong_keys: WrongKeys


def new_rate_limits(calls: int, writes: int, strangers: int, wrong_keys: int) -> RateLimits:
    """Nothing spent yet. Each is a number a minute."""
    return RateLimits(
        RateLimit(calls), RateLimit(writes), RateLimit(strangers), new_wrong_keys(wrong_keys)
    )
