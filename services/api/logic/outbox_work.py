"""What goes on beside the requests: looking for outboxes that are due, and feedback."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from services.api.logic import feedback
from services.api.logic.sender import Sender
from services.api.store.user_messages import PAGE
from shared.errors import Unavailable

log = logging.getLogger(__name__)

SCAN_SECONDS = 5.0
FEEDBACK_FIRST = 0.25  # after something was sent; then ever longer
FEEDBACK_LAST = 10.0
FAILED_SECONDS = 5.0
FINISH_SECONDS = 4.0


@asynccontextmanager
async def work(sender: Sender) -> AsyncIterator[None]:
    """Send, and listen for feedback, until the block ends."""
    sender.working = True
    tasks = [
        asyncio.create_task(_for_ever("looking for due outboxes", lambda: _scan(sender))),
        asyncio.create_task(_for_ever("receiving feedback", lambda: _listen(sender))),
    ]
    try:
        yield
    finally:
        sender.working = False
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await sender.finish(FINISH_SECONDS)


async def scan(sender: Sender) -> bool:
    """Serve the outboxes of one page that are due; whether there may be more."""
    if sender.resting:
        return False
    devices = await sender.messages.due(sender.clock())
    random.shuffle(devices)  # other processes look at the same ones
    served = await asyncio.gather(*(_come(sender, device_id) for device_id in devices))
    return len(devices) >= PAGE and all(served)


async def _come(sender: Sender, device_id: str) -> bool:
    """Whether the outbox was served, or taken by somebody else."""
    try:
        await sender.come(device_id)
    except Unavailable as error:
        log.warning(
            "an outbox could not be served", extra={"device_id": device_id, "reason": str(error)}
        )
    except Exception:
        log.exception("an outbox could not be served", extra={"device_id": device_id})
    else:
        return True
    return False


async def _scan(sender: Sender) -> None:
    if not await scan(sender):
        await asyncio.sleep(SCAN_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311


async def _listen(sender: Sender) -> None:
    """Often after something was sent, and ever less often while nothing is told."""
    pause = FEEDBACK_FIRST
    sender.sent.clear()
    while True:
        if await feedback.receive(sender):
            pause = FEEDBACK_FIRST
            continue
        if sender.sent.is_set():
            sender.sent.clear()
            pause = FEEDBACK_FIRST
        try:
            async with asyncio.timeout(pause):
                await sender.sent.wait()
        except TimeoutError:
            pause = min(pause * 2, FEEDBACK_LAST)
        else:
            # What was sent just now is told a little later.
            await asyncio.sleep(FEEDBACK_FIRST)


async def _for_ever(what: str, one: Callable[[], Awaitable[None]]) -> None:
    while True:
        try:
            await one()
        except Unavailable as error:
            log.warning(f"{what}: tried again in a moment", extra={"reason": str(error)})  # noqa: G004
        except Exception:
            log.exception(f"{what} failed; it is tried again in a moment")  # noqa: G004
        else:
            continue
        await asyncio.sleep(FAILED_SECONDS * random.uniform(0.5, 1))  # noqa: S311
