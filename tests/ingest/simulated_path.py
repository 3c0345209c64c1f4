"""The message path without Azure: the pure decisions, and stores that are dictionaries.

It stands for what happens between the decisions: crashes before the commit with any part of the
effects done, replays, pairings that become known while the stream is read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.ingest.logic.admission import decide
from services.ingest.logic.batch import after, runs
from services.ingest.logic.decode import decode
from services.ingest.logic.events import Event, Message, RawEvent
from services.ingest.logic.ownership import first_owner
from services.ingest.logic.plan import Known, Limits, Outgoing, Plan
from services.ingest.logic.readmission import hand_over
from shared.schemas.documents import (
    Gateway,
    Ledger,
    Notification,
    Pairing,
    ParkedMessage,
    TimelineEntry,
)
from tests.ingest.made_events import STREAM, known


class Crashed(Exception):
    """The process is gone, or has lost the partition; what is not committed is done again."""


@dataclass
class SimulatedPath:
    """One partition. Queues drop repeated ids, documents are created once under their ids."""

    gateways: Sequence[Gateway]  # with all that will ever be paired
    limits: Limits
    position: int = -1
    ledgers: dict[str, Ledger] = field(default_factory=dict)
    queues: dict[str, dict[str, Outgoing]] = field(default_factory=dict)
    notifications: dict[tuple[str, str], Notification] = field(default_factory=dict)
    timeline: dict[tuple[str, str], TimelineEntry] = field(default_factory=dict)
    parked: dict[tuple[str, str], ParkedMessage] = field(default_factory=dict)
    dropped: int = 0
    lost: bool = False

    def process(self, raw: Sequence[RawEvent], now: datetime, crash_after: int = 10**9) -> None:
        """Take a batch at a time; raises Crashed after so many effects."""
        self._left = crash_after
        who = self._known(now)
        for run in runs((decode(each) for each in after(raw, self.position)), max_ledgers=1):
            for device_id in sorted(_senders(run)):
                self._hand_over(device_id, who)
            plan = decide(run, STREAM, self.ledgers, who, self.limits)
            self._do(plan)
            self._commit(run[-1].sequence_number, plan)

    def rival(self) -> "SimulatedPath":
        """Another process at the same point, which will do things and cannot commit them."""
        return replace(self, ledgers=dict(self.ledgers), lost=True)

    def end(self, now: datetime) -> None:
        """Hand over what silent gateways left for their first owners."""
        self._left = 10**9
        for device_id in sorted(self.ledgers):
            self._hand_over(device_id, self._known(now))

    def _known(self, now: datetime) -> Known:
        """Every pairing that was made by now, as the directory promises."""
        return known(*(_as_of(each, now) for each in self.gateways))

    def _hand_over(self, device_id: str, who: Known) -> None:
        ledger = self.ledgers.get(device_id)
        pairings = who.gateways[device_id].pairings
        if ledger is None or not ledger.waiting or not pairings:
            return
        documents = [
            each
            for (holder, _), each in self.parked.items()
            if holder == device_id
            and each.reason == "no_owner"
            # What is parked above the position is of an attempt that failed: it is decided again.
            and each.sequence_number <= self.position
        ]
        for each in documents:
            assert first_owner(who.gateways[device_id], each.enqueued_at) is pairings[0]
        plan = hand_over(documents, pairings[0], ledger, who)
        self._do(plan)
        self._commit(self.position, plan)
        for each in documents:
            self._step()
            del self.parked[each.holder, each.id]
        done = self.ledgers[device_id].model_copy(update={"waiting": False})
        self._commit(self.position, Plan(ledgers={device_id: done}))

    def _do(self, plan: Plan) -> None:
        for user_id, messages in plan.sends.items():
            queue = self.queues.setdefault(user_id, {})
            for message in messages:
                self._step()
                queue.setdefault(message.message_id, message)
        for notification in plan.notifications:
            self._step()
            self.notifications.setdefault((notification.user_id, notification.id), notification)
        for entry in plan.timeline:
            self._step()
            self.timeline.setdefault((entry.device_id, entry.id), entry)
        for document in plan.parked:
            self._step()
            stored = ParkedMessage.model_validate_json(document.model_dump_json())
            self.parked.setdefault((document.holder, document.id), stored)
        self._step()

    def _step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise Crashed

    def _commit(self, position: int, plan: Plan) -> None:
        if self.lost:
            raise Crashed
        self.position = position
        self.dropped += plan.dropped.total()
        for device_id, ledger in plan.ledgers.items():
            self.ledgers[device_id] = Ledger.model_validate_json(ledger.model_dump_json())


def _senders(run: Sequence[Event]) -> set[str]:
    return {each.device_id for each in run if isinstance(each.content, Message)}


def _as_of(gateway: Gateway, now: datetime) -> Gateway:
    """The gateway's document as it was at a moment."""
    pairings: list[Pairing] = [
        each.model_copy(
            update={"ended_at": each.ended_at if each.ended_at and each.ended_at <= now else None}
        )
        for each in gateway.pairings
        if each.started_at <= now
    ]
    return gateway.model_copy(update={"pairings": pairings})
