"""Pairing as an owner may: what a wrong device key is told, and how often it may be guessed.

Whoever presents a device key learns whether this account has the gateway, and nothing about
others (docs/adr/0010): a key that no gateway has and the key of another account's gateway get the
same answer, after the same reads, and count as wrong keys both.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from services.api.logic import throttle
from services.api.logic.pairing import Paired, PairedElsewhere, PairingRequest, UnknownKey, pair
from services.api.logic.pairing_truth import Stores
from services.api.logic.throttle import Throttle
from services.api.store.attempts import Attempts
from shared.errors import Conflict, NotFound, TooMany

HOUR = timedelta(hours=1)
# An account's wrong keys: after 20 it waits an hour.
WRONG_KEYS = Throttle("device key", 20, first_wait=HOUR, longest_wait=HOUR, forgotten_after=HOUR)


@dataclass
class Guesses:
    """The wrong keys of an account. One call's are counted one after the other: at the same time
    they would get in each other's way."""

    attempts: Attempts
    user_id: str
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def require(self) -> None:
        """Raises TooMany where there were too many; counts nothing."""
        try:
            await throttle.check(self.attempts, WRONG_KEYS, self.user_id)
        except TooMany as error:
            raise _too_many(error) from None

    async def count(self) -> None:
        """One more. Raises TooMany, and then the key must not be told to be wrong."""
        try:
            async with self._turn:
                await throttle.count_failure(self.attempts, WRONG_KEYS, self.user_id)
        except TooMany as error:
            raise _too_many(error) from None


async def pair_as_owner(stores: Stores, guesses: Guesses, request: PairingRequest) -> Paired:
    """Pair, or complete a pairing. `Paired.already` where this account has the gateway.

    Raises InvalidRequest, NotFound (account or group, and the one answer for a wrong key), TooMany
    after 20 wrong keys of the account in an hour, for right ones too, Conflict and Unavailable.
    """
    await guesses.require()
    try:
        return await pair(stores, request)
    except (UnknownKey, PairedElsewhere):
        await guesses.count()
        raise _wrong_key() from None


async def pair_one(stores: Stores, guesses: Guesses, request: PairingRequest) -> Paired:
    """As `pair_as_owner`; raises Conflict with the device id where this account has the gateway."""
    paired = await pair_as_owner(stores, guesses, request)
    if paired.already:
        raise Conflict(
            f"This account has this gateway already: {paired.device.device_id}. "
            "Edit it there, or delete it first."
        )
    return paired


def _too_many(error: TooMany) -> TooMany:
    return TooMany(
        "Too many device keys of this account were wrong; check them on the labels, and try again "
        "within the hour, see Retry-After.",
        error.retry_after,
    )


def _wrong_key() -> NotFound:
    return NotFound(
        "No gateway with this device key can be paired. Check the key on the gateway's label; if "
        "it is right, a former owner may have to unpair the gateway first."
    )
