"""The message path, step by step: read, decide, do, commit.

Whatever happens before the commit may happen again after a crash, and every step stands that:
queues know a message id again, documents are created under deterministic ids, device state
only moves forward. What is counted changes in the transaction that moves the position.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from services.ingest import metrics
from services.ingest.logic import trace
from services.ingest.logic.admission import decide
from services.ingest.logic.batch import after, runs
from services.ingest.logic.decode import decode
from services.ingest.logic.events import COUNTED, Event, RawEvent
from services.ingest.logic.garbage import GarbageWatch
from services.ingest.logic.hand_over import HandOver
from services.ingest.logic.outlets import Outlets
from services.ingest.logic.partition import Partition
from services.ingest.logic.plan import Limits, Plan
from services.ingest.settings import IngestSettings
from services.ingest.store.directory import Directory
from services.ingest.store.ledgers import LedgerStore
from shared.logs import correlation_id
from shared.schemas.documents import Ledger, Position

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pipeline:
    """Takes batches of one partition, one after another, to their effects."""

    settings: IngestSettings
    ledgers: LedgerStore
    directory: Directory
    outlets: Outlets
    hand_over: HandOver
    watch: GarbageWatch

    def partition(self, stream: str) -> Partition:
        """A partition of the stream, "{event hub}/{number}", to be worked on."""
        return Partition(stream, self.ledgers, self.settings.cache_size)

    async def process(self, partition: Partition, raw: Sequence[RawEvent]) -> None:
        """Do and commit everything that a batch of events asks for.

        Raises PartitionLost where another process committed meanwhile, and TooMuchGarbage where
        it is better to stop; what is not committed then is to be given again.
        """
        correlation_id.set(partition.stream)
        metrics.BATCH_SIZE.observe(len(raw))
        async with partition.working():
            events = [decode(each) for each in after(raw, partition.position)]
            if not events:
                return
            _warn_of_a_gap(partition, events[0])
            devices = {each.device_id for each in events if isinstance(each.content, COUNTED)}
            ledgers = await partition.ledgers(devices)
            for run in runs(events):
                await self._run(partition, run, ledgers)

    async def _run(
        self, partition: Partition, run: Sequence[Event], ledgers: dict[str, Ledger]
    ) -> None:
        began = time.monotonic()
        known = await self.directory.known(run)
        self.watch.check(run, known)
        ledgers |= await self.hand_over.before(partition, run, known.gateways)
        plan = decide(run, partition.stream, ledgers, known, self._limits)
        held = await self.outlets.do(partition, plan, known)
        last = run[-1]
        position = Position(
            partition=partition.stream,
            sequence_number=last.sequence_number,
            offset=last.raw.offset,
            enqueued_at=last.enqueued_at,
            held=held,
        )
        await partition.commit(position, plan.ledgers)
        await self.hand_over.forget(partition, plan.at_once)
        ledgers |= plan.ledgers
        _report(partition, run, plan, time.monotonic() - began)

    @property
    def _limits(self) -> Limits:
        return Limits(
            self.settings.quota_data,
            self.settings.quota_notifications,
            self.settings.parked_per_day,
            self.settings.connections_per_day,
        )


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
        trace.parked(message)
    for reason, count in plan.dropped.items():
        metrics.DROPPED.labels(reason).inc(count)
    for device_id in plan.limited:
        log.warning(
            "a device sends more that cannot be delivered than is parked of a day: it is dropped",
            extra={"device_id": device_id},
        )
    if log.isEnabledFor(logging.DEBUG):
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
