"""What a gateway sent before anybody had paired it goes to its first owner.

It waits parked, and the ledger says so. It is delivered before any newer message of the gateway,
or, where none comes, as soon as the directory tells of the pairing.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from services.ingest import metrics
from services.ingest.logic import readmission
from services.ingest.logic.events import Event
from services.ingest.logic.outlets import Outlets
from services.ingest.logic.partition import Partition
from services.ingest.store.directory import Directory
from services.ingest.store.parked import ParkedStore
from shared.schemas.documents import Gateway, Ledger

log = logging.getLogger(__name__)

AT_ONCE = 1000  # gateways in memory


@dataclass(frozen=True)
class HandOver:
    """Delivers what waits for first owners."""

    outlets: Outlets
    parked: ParkedStore
    directory: Directory

    async def before(
        self, partition: Partition, run: Sequence[Event], gateways: Mapping[str, Gateway]
    ) -> dict[str, Ledger]:
        """Hand over what waits for the owners of a run's gateways; returns the new ledgers.

        The caller works with the partition.
        """
        changed: dict[str, Ledger] = {}
        if not partition.waiting:
            return changed
        for device_id in {each.device_id for each in run} & partition.waiting:
            gateway = gateways.get(device_id)
            if gateway is not None and gateway.pairings:
                changed[device_id] = await self._hand_over(partition, gateway)
        return changed

    async def look(self, partition: Partition) -> None:
        """Hand over what waits for gateways that were paired since the last look."""
        while partition.unchecked:
            some = set(islice(partition.unchecked, AT_ONCE))
            # Who is told of from here on is looked at again.
            partition.unchecked -= some
            try:
                await self._look(partition, some)
            except BaseException:
                partition.unchecked |= some
                raise

    async def forget(self, partition: Partition, devices: Iterable[str]) -> None:
        """Delete what an attempt before the pairing parked, and never committed.

        A later attempt delivered it without handing it over: nothing of the device waited.
        """
        for device_id in devices:
            while True:
                found = await self.parked.waiting(device_id, partition.stream)
                passed = [each for each in found if each.sequence_number <= partition.position]
                if not passed:
                    break
                await self.parked.delete(passed)

    async def _look(self, partition: Partition, devices: Collection[str]) -> None:
        for device_id, gateway in (await self.directory.gateways(devices)).items():
            if not gateway.pairings:
                continue
            async with partition.working():
                if device_id in partition.waiting:
                    await self._hand_over(partition, gateway)

    async def _hand_over(self, partition: Partition, gateway: Gateway) -> Ledger:
        """Deliver all that waits of one gateway, page by page; returns its ledger."""
        first = gateway.pairings[0]
        known = await self.directory.of(first.user_id, [gateway.device_id])
        delivered = 0
        while True:
            ledgers = await partition.ledgers([gateway.device_id])
            ledger = ledgers[gateway.device_id]
            found = await self.parked.waiting(gateway.device_id, partition.stream)
            page = [each for each in found if each.sequence_number <= partition.position]
            if not page:
                break
            await partition.check()  # or another process has the messages before the page
            plan = readmission.hand_over(page, first, ledger, known)
            held = await self.outlets.do(partition, plan, known, asked=True)
            if first.user_id not in held:
                await self.outlets.held.forget(partition, first.user_id, page)
            position = partition.committed.model_copy(update={"held": held})
            await partition.commit(position, plan.ledgers)
            await self.parked.delete(page)
            delivered += len(page)
            metrics.REDELIVERED.labels("no_owner").inc(len(page))
        ledger = ledger.model_copy(update={"waiting": False})
        await partition.commit(partition.committed, {ledger.id: ledger})
        while found:  # parked by an attempt that was not committed: the events come again
            await self.parked.delete(found)
            found = await self.parked.waiting(gateway.device_id, partition.stream)
        log.info(
            "what a gateway sent before its first pairing is delivered",
            extra={
                "device_id": gateway.device_id,
                "user_id": first.user_id,
                "messages": delivered,
            },
        )
        return ledger
