"""The message path, step by step: read, decide, do, commit.

Whatever happens before the commit may happen again after a crash, and every step stands that:
queues know a message id again, documents are created under deterministic ids, device state
only moves forward. What is counted changes in the transaction that moves the position.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.ingest import metrics
from services.ingest.logic.admission import decide
from services.ingest.logic.batch import after, runs
from services.ingest.logic.decode import decode
from services.ingest.logic.effects import DEVICE_ID
from services.ingest.logic.events import Event, Message, RawEvent
from services.ingest.logic.parking import refused
from services.ingest.logic.plan import Known, Limits, Outgoing, Plan, QueueAddress
from services.ingest.settings import IngestSettings
from services.ingest.store.cache import LeastRecentlyUsed
from services.ingest.store.device_state import DeviceStateStore
from services.ingest.store.directory import Directory
from services.ingest.store.ledgers import LedgerStore
from services.ingest.store.queues import AccountQueues
from services.ingest.store.records import RecordStore
from shared.logs import correlation_id
from shared.schemas.documents import Ledger, ParkedMessage, Position

log = logging.getLogger(__name__)


@dataclass
class Partition:
    """What this process knows of a partition that it works on."""

    stream: str  # "{event hub}/{number}"
    position: int
    etag: str
    ledgers: LeastRecentlyUsed[str, Ledger]


@dataclass(frozen=True)
class Pipeline:
    """Takes batches of one partition, one after another, to their effects."""

    settings: IngestSettings
    ledgers: LedgerStore
    directory: Directory
    queues: AccountQueues
    records: RecordStore
    states: DeviceStateStore

    async def open(self, stream: str) -> Partition:
        """Start on a partition from what is committed of it."""
        committed = await self.ledgers.committed(stream)
        return Partition(
            stream=stream,
            position=committed.sequence_number,
            etag=committed.etag,
            ledgers=LeastRecentlyUsed(self.settings.cache_size),
        )

    async def process(self, partition: Partition, raw: Sequence[RawEvent]) -> None:
        """Do and commit everything that a batch of events asks for.

        Raises PartitionLost where another process committed meanwhile; the partition must be
        opened again then.
        """
        correlation_id.set(partition.stream)
        metrics.BATCH_SIZE.observe(len(raw))
        events = [decode(each) for each in after(raw, partition.position)]
        if not events:
            return
        _warn_of_a_gap(partition, events[0])
        ledgers = await self._ledgers(partition, events)
        for run in runs(events):
            await self._run(partition, run, ledgers)

    async def _ledgers(self, partition: Partition, events: Sequence[Event]) -> dict[str, Ledger]:
        devices = {each.device_id for each in events if isinstance(each.content, Message)}
        known = {
            device_id: ledger
            for device_id in devices
            if (ledger := partition.ledgers.get(device_id)) is not None
        }
        missing = devices - known.keys()
        metrics.CACHE.labels("ledgers", "hit").inc(len(known))
        metrics.CACHE.labels("ledgers", "miss").inc(len(missing))
        return known | await self.ledgers.ledgers(partition.stream, missing)

    async def _run(
        self, partition: Partition, run: Sequence[Event], ledgers: dict[str, Ledger]
    ) -> None:
        began = time.monotonic()
        limits = Limits(
            self.settings.quota_data,
            self.settings.quota_notifications,
            self.settings.parked_per_day,
        )
        known = await self.directory.known(run)
        plan = decide(run, partition.stream, ledgers, known, limits)
        sends = _addressed(partition.stream, plan, known)
        async with asyncio.TaskGroup() as effects:
            effects.create_task(self.queues.send(sends))
            effects.create_task(self.records.create(plan.notifications, plan.timeline, plan.parked))
            effects.create_task(self.states.apply(plan.states.values()))
        last = run[-1]
        position = Position(
            partition=partition.stream,
            sequence_number=last.sequence_number,
            offset=last.raw.offset,
            enqueued_at=last.enqueued_at,
        )
        partition.etag = await self.ledgers.commit(partition.etag, position, plan.ledgers)
        partition.position = last.sequence_number
        _remember(partition, plan.ledgers, ledgers)
        _report(partition, run, plan, time.monotonic() - began)


def _addressed(stream: str, plan: Plan, known: Known) -> dict[QueueAddress, list[Outgoing]]:
    """What goes to queues; what goes to an account without a record is parked."""
    addressed = {}
    for user_id, messages in plan.sends.items():
        if user_id in known.queues:
            addressed[known.queues[user_id]] = messages
            continue
        detail = "the account has no record"
        plan.parked += [refused(each, user_id, stream, detail) for each in messages]
    return addressed


def _remember(
    partition: Partition, committed: Mapping[str, Ledger], batch: dict[str, Ledger]
) -> None:
    batch.update(committed)
    for device_id, ledger in committed.items():
        partition.ledgers.put(device_id, ledger)


def _log_parked(message: ParkedMessage) -> None:
    token = correlation_id.set(message.id)
    log.info(
        "message parked",
        extra={
            "device_id": message.device_id,
            "mid": message.mid,
            "reason": message.reason,
            "detail": message.detail,
        },
    )
    correlation_id.reset(token)


def _log_forwarded(sends: Mapping[str, Sequence[Outgoing]]) -> None:
    for user_id, messages in sends.items():
        for message in messages:
            token = correlation_id.set(message.message_id)
            log.debug(
                "message forwarded",
                extra={
                    "device_id": message.properties[DEVICE_ID],
                    "mid": message.properties.get("mid", ""),
                    "user_id": user_id,
                },
            )
            correlation_id.reset(token)


def _warn_of_a_gap(partition: Partition, first: Event) -> None:
    if 0 <= partition.position < first.sequence_number - 1:
        log.error(
            "events are missing: the stream keeps them for less time than ingest was down",
            extra={"after": partition.position, "before": first.sequence_number},
        )


def _report(partition: Partition, run: Sequence[Event], plan: Plan, seconds: float) -> None:
    metrics.COMMITS.inc()
    metrics.SECONDS.observe(seconds)
    lag = (datetime.now(UTC) - run[-1].enqueued_at).total_seconds()
    metrics.LAG.labels(partition.stream).set(lag)
    for (kind, outcome), count in plan.outcomes.items():
        metrics.MESSAGES.labels(kind, outcome).inc(count)
    for message in plan.parked:
        metrics.PARKED.labels(message.reason).inc()
        _log_parked(message)
    if log.isEnabledFor(logging.DEBUG):
        _log_forwarded(plan.sends)
        outcomes = {" ".join(key): count for key, count in plan.outcomes.items()}
        log.debug(
            "run committed",
            extra={
                "events": len(run),
                "position": partition.position,
                "seconds": round(seconds, 4),
                "lag": round(lag, 3),
                "outcomes": outcomes,
            },
        )
