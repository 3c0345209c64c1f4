"""Held accounts: what a queue refuses is parked in order, and delivered in order when it takes.

An account is held in a partition of the stream from the first message on that its queue did not
take, and the position says so. Whatever comes for it is parked without asking the queue, so that
nothing overtakes; beside that, what is parked goes out (`drain`) until nothing is left. A
process that has lost the partition without knowing does no harm: whoever sends, sends in the
order of the stream, and queues drop what they have taken before (docs/adr/0009).
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from services.ingest import metrics
from services.ingest.logic import readmission, trace
from services.ingest.logic.parking import refused
from services.ingest.logic.partition import Partition
from services.ingest.logic.plan import Known, Outgoing
from services.ingest.store.directory import Directory
from services.ingest.store.ledgers import PartitionLost
from services.ingest.store.parked import PAGE, ParkedStore
from services.ingest.store.queues import AccountQueues, Refusal
from services.ingest.store.retry import delays
from shared.schemas.documents import ParkedMessage

log = logging.getLogger(__name__)

FIRST_SECONDS = 0.5
MOST_SECONDS = 30.0

EARLIER = "earlier messages of the account wait for its queue"
NO_RECORD = "the account has no record"


class HeldAccounts:
    """Sends to accounts' queues, and parks what those refuse."""

    def __init__(
        self,
        queues: AccountQueues,
        parked: ParkedStore,
        directory: Directory,
        *,
        concurrent_drains: int,
    ) -> None:
        self._queues = queues
        self._parked = parked
        self._directory = directory
        self._slots = asyncio.Semaphore(concurrent_drains)

    async def deliver(
        self,
        partition: Partition,
        sends: Mapping[str, Sequence[Outgoing]],
        known: Known,
        *,
        asked: bool = False,
    ) -> dict[str, int]:
        """Send messages by account, or park them. Returns who is held then, to be committed.

        `asked` says that they are older than the position, and delivered because somebody asked:
        a new owner or the operator.
        """
        refusals = await self._send(partition, sends, known)
        _trace(sends, refusals)
        if not refusals:
            return partition.committed.held
        documents = [
            _document(partition, each, user_id, refusal.reason, asked=asked)
            for user_id, refusal in refusals.items()
            for each in refusal.messages
        ]
        await self._parked.put(documents)
        metrics.PARKED.labels("refused").inc(len(documents))
        held = dict(partition.held)
        for user_id, refusal in refusals.items():
            if user_id in held:
                continue
            first = refusal.messages[0].event.sequence_number
            held[user_id] = partition.position + 1 if asked else first
            log.warning(
                "an account's queue refuses: its messages are parked until it takes them",
                extra={"user_id": user_id, "reason": refusal.reason, "first": first},
            )
        return held

    async def forget(
        self, partition: Partition, user_id: str, messages: Sequence[ParkedMessage]
    ) -> None:
        """Delete what an earlier attempt parked of messages that the queue has taken now."""
        await self._parked.delete(await self._parked.copies(user_id, partition.stream, messages))

    async def drain(self, partition: Partition, user_id: str) -> None:
        """Deliver what is parked of a held account until it is held no more."""
        waits = delays(FIRST_SECONDS, MOST_SECONDS)
        while user_id in partition.held:
            await asyncio.sleep(next(waits))
            try:
                sent, all_sent = await self._send_parked(partition, user_id)
                if all_sent:
                    await self._release(partition, user_id)
            except PartitionLost:
                log.info("another process has the partition", extra={"partition": partition.stream})
                continue
            if sent:
                waits = delays(FIRST_SECONDS, MOST_SECONDS)

    async def _send(
        self, partition: Partition, sends: Mapping[str, Sequence[Outgoing]], known: Known
    ) -> dict[str, Refusal]:
        refusals: dict[str, Refusal] = {}
        users = {}
        for user_id, messages in sends.items():
            if user_id in partition.held:
                refusals[user_id] = Refusal(messages, EARLIER)
            elif (address := known.queues.get(user_id)) is None:
                refusals[user_id] = Refusal(messages, NO_RECORD)
            else:
                users[address] = user_id
        refused_by = await self._queues.send(
            {address: sends[user_id] for address, user_id in users.items()}
        )
        return refusals | {users[address]: each for address, each in refused_by.items()}

    async def _send_parked(self, partition: Partition, user_id: str) -> tuple[int, bool]:
        """Send what is parked and committed; how many messages, and whether that was all."""
        sent = 0
        while True:
            # Page by page, so that no long backlog keeps the others waiting.
            async with self._slots:
                page = await self._due(partition, user_id, upto=partition.position)
                accepted = await self._send_page(user_id, page) if page else 0
            sent += accepted
            if accepted < len(page):
                return sent, False
            if not page:
                return sent, True

    async def _send_page(self, user_id: str, page: Sequence[ParkedMessage]) -> int:
        """Send and delete; returns how many messages, from the first one on, the queue took."""
        known = await self._directory.of(user_id, {each.device_id for each in page})
        address = known.queues.get(user_id)
        if address is None:
            return 0
        messages = [
            readmission.outgoing(each, _device_name(known, user_id, each.device_id))
            for each in page
        ]
        refusals = await self._queues.send({address: messages})
        accepted = len(page) - (len(refusals[address].messages) if address in refusals else 0)
        await self._parked.delete(page[:accepted])
        metrics.REDELIVERED.labels("refused").inc(accepted)
        trace.forwarded(messages[:accepted], user_id)
        return accepted

    async def _release(self, partition: Partition, user_id: str) -> None:
        """Let the account's messages pass again, if nothing is left that they could overtake."""
        async with partition.working():
            # Processing stands still, so what came since the last look is all there is.
            page = await self._due(partition, user_id)
            uncommitted = any(each.sequence_number > partition.position for each in page)
            if uncommitted or len(page) == PAGE or user_id not in partition.held:
                return
            if page and await self._send_page(user_id, page) < len(page):
                return
            held = {each: first for each, first in partition.held.items() if each != user_id}
            await partition.commit(partition.committed.model_copy(update={"held": held}))
        log.info("an account's queue takes again", extra={"user_id": user_id})

    async def _due(
        self, partition: Partition, user_id: str, upto: int | None = None
    ) -> list[ParkedMessage]:
        """What is to be sent next. What was sent before the account was held is deleted."""
        while True:
            page = await self._parked.refused(user_id, partition.stream)
            first = partition.held.get(user_id, partition.position + 1)
            leftovers = [each for each in page if is_leftover(each, first)]
            if not leftovers:
                return [each for each in page if upto is None or each.sequence_number <= upto]
            await self._parked.delete(leftovers)


def is_leftover(message: ParkedMessage, first: int) -> bool:
    """Whether a refused message was delivered by an attempt after the one that parked it.

    `first` is the account's first message held back, or the next one after the position where
    it is not held. Older ones that somebody asked for are not in their place in the stream.
    """
    return message.ordered_at is None and message.sequence_number < first


def _document(
    partition: Partition, message: Outgoing, user_id: str, reason: str, *, asked: bool
) -> ParkedMessage:
    document = refused(message, user_id, partition.stream, reason)
    if asked:
        return document.model_copy(update={"ordered_at": datetime.now(UTC)})
    return document


def _trace(sends: Mapping[str, Sequence[Outgoing]], refusals: Mapping[str, Refusal]) -> None:
    for user_id, messages in sends.items():
        refusal = refusals.get(user_id)
        back = refusal.messages if refusal else ()
        trace.forwarded(messages[: len(messages) - len(back)], user_id)
        trace.held_back(back, user_id)


def _device_name(known: Known, user_id: str, device_id: str) -> str:
    """What the account calls the device, or called it when it had it last."""
    gateway = known.gateways.get(device_id)
    for pairing in reversed(gateway.pairings if gateway else []):
        if pairing.user_id == user_id:
            return known.device_name(device_id, pairing)
    return ""
