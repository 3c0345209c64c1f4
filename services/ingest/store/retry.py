"""Trying again until it works: what is in hand waits, nothing is lost."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import aiohttp
from azure.core.exceptions import AzureError

log = logging.getLogger(__name__)

T = TypeVar("T")

FIRST_SECONDS = 0.1
MOST_SECONDS = 5.0

# What the network and Azure do to us. Azure's answer to a mistake of our own is among them: that
# partition stands still then, and `/readyz` says so.
TRANSIENT = (AzureError, aiohttp.ClientError, OSError, TimeoutError)


def delays(first: float = FIRST_SECONDS, most: float = MOST_SECONDS) -> Iterator[float]:
    """Seconds to wait before each next attempt: twice as long each time, with jitter."""
    longest = first
    while True:
        yield longest * random.uniform(0.5, 1)  # noqa: S311 - jitter is no secret
        longest = min(longest * 2, most)


async def persistently(what: str, attempt: Callable[[], Awaitable[T]]) -> T:
    """The result of `attempt`, tried until Azure answers or the task is cancelled."""
    for delay in delays():
        try:
            return await attempt()
        except TRANSIENT as error:
            log.warning(
                "cannot %s; trying again", what, extra={"error": brief(error), "seconds": delay}
            )
            await asyncio.sleep(delay)
    raise AssertionError("delays never end")


def brief(error: BaseException) -> str:
    """The first line of an error, short enough for a log."""
    return f"{type(error).__name__}: {error}".splitlines()[0][:300]
