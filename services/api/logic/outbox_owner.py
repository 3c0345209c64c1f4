"""Whose messages a device's outbox sends: it follows the pairing.

A pairing takes the outbox before it drops what IoT Hub has for the device, and waits until nobody
sends for an earlier one. So no message of a former owner is on its way after that.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime

from services.api.documents.user_messages import Outbox
from services.api.logic import outbox as rules
from services.api.store.user_messages import Changes, Held, UserMessages
from shared.errors import Unavailable

WAIT_SECONDS = 0.1
LONGEST_WAIT = 2 * rules.CLAIM.total_seconds()

Clock = Callable[[], datetime]


async def own(
    messages: UserMessages, device_id: str, user_id: str, paired_at: datetime, clock: Clock
) -> None:
    """Give the outbox to a pairing that is in force; a later one keeps it.

    What is open of earlier pairings is cancelled soon after. Raises Unavailable where somebody
    sends for an earlier one and does not end.
    """
    deadline = asyncio.get_running_loop().time() + LONGEST_WAIT
    while asyncio.get_running_loop().time() < deadline:
        held = await messages.outbox(device_id)
        if held is None:
            new = Outbox(device_id=device_id, user_id=user_id, paired_at=paired_at)
            held = Held(new, "")
        elif held.outbox.paired_at >= paired_at:
            return
        if not held.outbox.is_claimed(clock()):
            free = rules.released(held.outbox, clock())
            owned = rules.handed_over(free, user_id, paired_at, clock())
            if await messages.write(held, owned, Changes()) is not None:
                return
        await asyncio.sleep(WAIT_SECONDS)
    raise Unavailable("A message is being sent to this gateway; try again in a few seconds.")


async def disown(
    messages: UserMessages, device_id: str, user_id: str, paired_at: datetime, clock: Clock
) -> bool:
    """Send nothing more for a pairing that has ended; what is open is cancelled soon after.

    Whether IoT Hub has messages of it, which are to be dropped.
    """
    while True:
        held = await messages.outbox(device_id)
        if held is None or not held.outbox.is_of(user_id, paired_at):
            return False
        ended = rules.handed_over(held.outbox, "", paired_at, clock())
        if await messages.write(held, ended, Changes()) is not None:
            return held.outbox.sent > 0
