"""Sees every few minutes to binaries that an interrupted upload or deletion left behind."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from prometheus_client import Counter

from services.ota.logic.uploads import Stores, sweep
from shared.errors import Unavailable

log = logging.getLogger(__name__)

SWEPT = Counter("mymote_ota_swept", "Intents of uploads and deletions that were left behind")


@asynccontextmanager
async def sweeping(stores: Stores, every: timedelta) -> AsyncIterator[None]:
    """At once, and then and again while the service runs."""
    task = asyncio.create_task(_sweep_for_ever(stores, every))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep_for_ever(stores: Stores, every: timedelta) -> None:
    while True:
        try:
            while swept := await sweep(stores):
                SWEPT.inc(swept)
                log.info("removed what was left behind", extra={"intents": swept})
        except Unavailable as error:
            log.warning("what was left behind is seen to later", extra={"error": str(error)})
        except Exception:
            log.exception("what was left behind cannot be removed")
        # Several processes do not all come at the same moment.
        await asyncio.sleep(every.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311
