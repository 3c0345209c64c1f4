"""What goes on beside the requests: looking for jobs that are due."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from services.ota.logic.worker import Worker
from shared.errors import Unavailable

log = logging.getLogger(__name__)

FAILED_FIRST = 1.0  # seconds, after a look that failed; then ever longer
FAILED_LONGEST = 30.0


@asynccontextmanager
async def work(worker: Worker, every: timedelta) -> AsyncIterator[None]:
    """Move jobs on until the block ends."""
    worker.working = True
    scanning = asyncio.create_task(_scan_for_ever(worker, every.total_seconds()))
    try:
        yield
    finally:
        worker.working = False
        scanning.cancel()
        await asyncio.gather(scanning, return_exceptions=True)
        await worker.finish()


async def _scan_for_ever(worker: Worker, every: float) -> None:
    failures = 0
    while True:
        more = False
        try:
            more = await worker.scan()
            failures = 0
        except Unavailable as error:
            failures += 1
            log.warning("jobs that are due cannot be looked for", extra={"reason": str(error)})
        except Exception:
            failures += 1
            log.exception("looking for jobs that are due failed")
        if not more:
            pause = every
            if failures:
                pause = max(every, min(FAILED_FIRST * 2 ** min(failures, 10), FAILED_LONGEST))
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311
