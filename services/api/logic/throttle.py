"""Guesses get slower: what was tried too often in vain has to wait."""

import asyncio
import hashlib
import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.api.documents.attempts import AttemptCount
from services.api.store.attempts import Attempts
from shared.errors import TooMany

ROUNDS = 6  # under an ETag, before giving up
WAIT_SECONDS = 0.01
MAX_DOUBLINGS = 20  # a timedelta is bounded


@dataclass(frozen=True)
class Throttle:
    """`free` failures cost nothing; after each further one the wait doubles.

    `forgotten_after`: so long without any failure, and the counting starts anew. Counts are
    durable and shared by all processes.
    """

    kind: str  # what is counted, so that no other throttle counts with it
    free: int
    first_wait: timedelta
    longest_wait: timedelta
    forgotten_after: timedelta

    def wait_after(self, failures: int) -> timedelta:
        """How long nothing may be tried after so many failures."""
        if failures < self.free:
            return timedelta()
        doublings = min(failures - self.free, MAX_DOUBLINGS)
        return min(self.first_wait * (1 << doublings), self.longest_wait)

    def id_of(self, name: str) -> str:
        """The count's id: what people type as a username may be a password."""
        return hashlib.sha256(f"{self.kind}\n{name}".encode(errors="replace")).hexdigest()[:32]


async def check(attempts: Attempts, throttle: Throttle, name: str) -> None:
    """Whether `name` may be tried now; counts nothing. Raises TooMany, Unavailable."""
    found = await attempts.get(throttle.id_of(name))
    if found is not None:
        _require_open(found[0], datetime.now(UTC))


async def count_failure(attempts: Attempts, throttle: Throttle, name: str) -> AttemptCount:
    """Check and count in one step. Raises TooMany (and then counts nothing), Unavailable.

    Where guesses may come at the same time, count before looking whether it is right, and
    `forget` or `take_back` afterwards: so none passes before the others were counted.
    """
    count_id = throttle.id_of(name)
    for _ in range(ROUNDS):
        found = await attempts.get(count_id)
        now = datetime.now(UTC)
        if found is not None:
            _require_open(found[0], now)
        failures = (found[0].failures if found else 0) + 1
        count = AttemptCount(
            id=count_id,
            failures=failures,
            closed_until=now + throttle.wait_after(failures),
            ttl=int(throttle.forgotten_after.total_seconds()),
        )
        if await attempts.put(count, found[1] if found else None):
            return count
        await _pause()
    raise TooMany("This is tried very often at the same time; try again in a second.", 1)


async def take_back(
    attempts: Attempts, throttle: Throttle, name: str, counted: AttemptCount
) -> None:
    """What was `counted` was no failure; the wait for failures counted since goes on."""
    for _ in range(ROUNDS):
        found = await attempts.get(throttle.id_of(name))
        if found is None:
            return
        count, etag = found
        mine = count.closed_until == counted.closed_until
        fewer = count.model_copy(
            update={
                "failures": max(0, count.failures - 1),
                "closed_until": datetime.now(UTC) if mine else count.closed_until,
            }
        )
        if await attempts.put(fewer, etag):
            return
        await _pause()


async def forget(attempts: Attempts, throttle: Throttle, name: str) -> None:
    """The right one came: counting starts anew."""
    await attempts.delete(throttle.id_of(name))


def _require_open(count: AttemptCount, now: datetime) -> None:
    left = (count.closed_until - now).total_seconds()
    if left > 0:
        raise TooMany(
            "This was tried too often; try again later, see Retry-After.", math.ceil(left)
        )


async def _pause() -> None:
    await asyncio.sleep(WAIT_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
