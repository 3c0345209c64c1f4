"""Copies of delivered messages that an attempt parked and never committed: they are deleted."""

from dataclasses import dataclass

from services.ingest.logic.held import is_leftover
from services.ingest.logic.partition import Partition
from services.ingest.store.parked import ParkedStore
from shared.schemas.documents import ParkedMessage


@dataclass(frozen=True)
class Leftovers:
    """Clears them for accounts that are not held; a drain clears those of its account."""

    parked: ParkedStore

    async def find(self, partition: Partition) -> list[ParkedMessage]:
        """What may be left over; it is, once the position has passed it."""
        return await self.parked.leftovers(partition.stream, partition.held.keys())

    async def clear(self, partition: Partition, found: list[ParkedMessage]) -> list[ParkedMessage]:
        """Delete what is left over by now; returns what may be later.

        That a message is at or before a position that was committed without its account being
        held stays true for ever: also where another process has the partition by now.
        """
        undecided: list[ParkedMessage] = []
        holders: dict[str, list[ParkedMessage]] = {}
        for message in found:
            if message.holder in partition.held:
                continue
            if is_leftover(message, partition.position + 1):
                holders.setdefault(message.holder, []).append(message)
            else:
                undecided.append(message)
        for messages in holders.values():
            await self.parked.delete(messages)
        return undecided
