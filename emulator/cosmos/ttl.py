"""Removal of items whose time to live is over; reads pass over them at once."""

import asyncio
import logging
import time

from emulator.cosmos.catalog import Catalog
from emulator.cosmos.items import Items

log = logging.getLogger(__name__)

PERIOD_SECONDS = 5.0
BATCH = 500


async def purge_for_ever(catalog: Catalog, items: Items) -> None:
    """Delete expired items in small steps, so that requests are served in between."""
    while True:
        await asyncio.sleep(PERIOD_SECONDS)
        for container in catalog.containers():
            while catalog.holds(container) and container.default_ttl is not None:
                if items.purge(container, time.time(), BATCH) < BATCH:
                    break
                await asyncio.sleep(0)
