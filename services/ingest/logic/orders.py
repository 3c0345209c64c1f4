"""Redeliveries that the operator ordered: a parked message goes to its account after all."""

import logging
from dataclasses import dataclass

from services.ingest import metrics
from services.ingest.logic import readmission
from services.ingest.logic.events import Malformed
from services.ingest.logic.outlets import Outlets
from services.ingest.logic.partition import Partition
from services.ingest.logic.plan import Plan
from services.ingest.store.directory import Directory
from services.ingest.store.ledgers import ORDERS_AT_ONCE, LedgerStore
from services.ingest.store.parked import ParkedStore
from shared.logs import correlation_id
from shared.schemas.documents import Ledger, ParkedMessage, Redelivery

log = logging.getLogger(__name__)

# These are delivered without an order, and are counted then or were counted before.
BY_THEMSELVES = ("refused", "no_owner")


@dataclass(frozen=True)
class Orders:
    """Carries out the orders of a partition."""

    outlets: Outlets
    parked: ParkedStore
    ledgers: LedgerStore
    directory: Directory

    async def carry_out(self, partition: Partition) -> bool:
        """Carry out orders, one message after another. Returns whether there may be more by now."""
        orders = await self.ledgers.orders(partition.stream)
        done = 0
        for order in orders:
            async with partition.working():
                if order.message.sequence_number > partition.position:
                    break  # parked by an attempt that was not committed: the event comes again
                token = correlation_id.set(order.message.id)
                try:
                    await self._carry_out(partition, order)
                finally:
                    correlation_id.reset(token)
            done += 1
        return done == ORDERS_AT_ONCE

    async def _carry_out(self, partition: Partition, order: Redelivery) -> None:
        message = order.message
        if message.reason in BY_THEMSELVES:
            await partition.commit(partition.committed, orders=[order])
            return
        plan, user_id = await self._plan(partition, message)
        if isinstance(plan, Malformed):
            await self.parked.keep(message, plan.reason)
            await partition.commit(partition.committed, orders=[order])
            log.info(
                "a message stays parked although its redelivery was ordered",
                extra={"device_id": message.device_id, "reason": plan.reason},
            )
            return
        known = await self.directory.of(user_id, [message.device_id])
        held = await self.outlets.do(partition, plan, known, asked=True)
        parked_again = user_id in held and plan.sends
        if not (parked_again and message.holder == user_id):
            await self.parked.delete([message])
        position = partition.committed.model_copy(update={"held": held})
        await partition.commit(position, plan.ledgers, [order])
        metrics.REDELIVERED.labels(message.reason).inc()
        log.info(
            "an ordered redelivery is done",
            extra={"device_id": message.device_id, "mid": message.mid, "user_id": user_id},
        )

    async def _plan(
        self, partition: Partition, message: ParkedMessage
    ) -> tuple[Plan | Malformed, str]:
        """What the redelivery does, and the account that it is for."""
        user_id = message.holder
        if user_id == message.device_id:
            # It is parked for a gateway that nobody owned then: its first owner's, if there is one.
            gateway = (await self.directory.gateways([message.device_id])).get(message.device_id)
            if gateway is None or not gateway.pairings:
                return Malformed("nobody owns the gateway; have it paired first"), ""
            user_id = gateway.pairings[0].user_id
        known = await self.directory.of(user_id, [message.device_id])
        ledgers = await partition.ledgers([message.device_id])
        ledger = ledgers.get(message.device_id) or Ledger(
            id=message.device_id, partition=partition.stream
        )
        return readmission.redeliver(message, user_id, ledger, known), user_id
