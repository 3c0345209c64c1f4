"""Where the effects of a plan go, all but what is committed with the position."""

import asyncio
from dataclasses import dataclass

from services.ingest.logic.held import HeldAccounts
from services.ingest.logic.partition import Partition
from services.ingest.logic.plan import Known, Plan
from services.ingest.store.device_state import DeviceStateStore
from services.ingest.store.records import RecordStore


@dataclass(frozen=True)
class Outlets:
    """Queues, documents and device state."""

    held: HeldAccounts
    records: RecordStore
    states: DeviceStateStore

    async def do(
        self, partition: Partition, plan: Plan, known: Known, *, asked: bool = False
    ) -> dict[str, int]:
        """Do all of a plan. Returns the accounts that are held then, to be committed.

        `asked` as in `HeldAccounts.deliver`.
        """
        async with asyncio.TaskGroup() as effects:
            delivering = effects.create_task(
                self.held.deliver(partition, plan.sends, known, asked=asked)
            )
            effects.create_task(self.records.create(plan.notifications, plan.timeline, plan.parked))
            effects.create_task(self.states.apply(plan.states.values()))
        return delivering.result()
