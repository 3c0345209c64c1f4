"""How long to wait before the next attempt to connect."""

import random


class Backoff:
    """Exponential back-off with jitter, in seconds.

    A delay lies between half and all of `initial * 2**attempts`, at most `maximum`: never
    zero, so no failure makes a hot loop, and never the same for all gateways of a fleet.
    """

    def __init__(self, initial: float, maximum: float) -> None:
        self._initial = initial
        self._maximum = max(initial, maximum)
        self._ceiling = initial

    def next(self) -> float:
        """The delay before the next attempt."""
        ceiling = min(self._ceiling, self._maximum)
        self._ceiling = min(self._ceiling * 2, self._maximum)
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311 - spreads load, hides nothing

    def reset(self) -> None:
        """Start again from `initial`, after a connection that did some good."""
        self._ceiling = self._initial
