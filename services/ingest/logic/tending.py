"""What a partition needs besides its events, whether any come or not."""

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field

from services.ingest.logic.hand_over import HandOver
from services.ingest.logic.held import HeldAccounts
from services.ingest.logic.leftovers import Leftovers
from services.ingest.logic.orders import Orders
from services.ingest.logic.partition import Partition
from services.ingest.store.directory import Directory
from services.ingest.store.ledgers import PartitionLost
from shared.logs import correlation_id
from shared.schemas.documents import ParkedMessage

log = logging.getLogger(__name__)

LEFTOVER_SECONDS = 600.0  # a process that has lost the partition may leave some at any time


@dataclass
class _Care:
    """What one partition is given."""

    partition: Partition
    drains: dict[str, asyncio.Task[None]] = field(default_factory=dict)  # by user_id
    leftovers: list[ParkedMessage] = field(default_factory=list)
    leftovers_at: float = 0.0  # when to look for leftovers next, loop time
    orders_at: float = 0.0  # when to look for orders next, loop time


@dataclass(frozen=True)
class Tending:
    """Drains held accounts, hands over to first owners and carries out orders."""

    held: HeldAccounts
    hand_over: HandOver
    orders: Orders
    leftovers: Leftovers
    directory: Directory
    order_seconds: float

    async def run(self, partition: Partition) -> None:
        """Tend a partition until cancelled."""
        correlation_id.set(partition.stream)
        care = _Care(partition)
        try:
            with self.directory.telling(partition.told):
                while True:
                    await self._try(care)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(self.order_seconds):
                            await partition.attention.wait()
        finally:
            for drain in care.drains.values():
                drain.cancel()
            await asyncio.gather(*care.drains.values(), return_exceptions=True)

    async def _try(self, care: _Care) -> None:
        care.partition.attention.clear()
        try:
            await self._tend(care)
        except PartitionLost:
            log.info(
                "another process has the partition", extra={"partition": care.partition.stream}
            )
        except Exception:
            # What was begun is done again next time; the events go on meanwhile.
            log.exception("cannot tend a partition", extra={"partition": care.partition.stream})

    async def _tend(self, care: _Care) -> None:
        partition = care.partition
        await partition.read()
        self._drain(care)
        await self.hand_over.look(partition)
        now = asyncio.get_running_loop().time()
        if now >= care.orders_at:
            care.orders_at = now + self.order_seconds
            if await self.orders.carry_out(partition):
                care.orders_at = now
                partition.attention.set()
        if now >= care.leftovers_at:
            care.leftovers_at = now + LEFTOVER_SECONDS
            care.leftovers = await self.leftovers.find(partition)
        care.leftovers = await self.leftovers.clear(partition, care.leftovers)

    def _drain(self, care: _Care) -> None:
        """Have one drain for each held account; raises what one of them failed with."""
        for user_id, drain in list(care.drains.items()):
            if drain.done():
                del care.drains[user_id]
                drain.result()
        for user_id in care.partition.held.keys() - care.drains.keys():
            drain = asyncio.create_task(self.held.drain(care.partition, user_id))
            care.drains[user_id] = drain
