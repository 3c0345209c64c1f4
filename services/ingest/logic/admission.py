"""Decides what becomes of each event of a run: to a queue, a document, or nowhere. Pure.

The outcome depends on the events, the ledgers and who owns what, and on nothing else, so that a
replay after a crash decides the same again.
"""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from services.ingest.logic import accounting
from services.ingest.logic.accounting import Charge
from services.ingest.logic.events import (
    Data,
    Event,
    Ignored,
    Malformed,
    ManagementEvent,
    Message,
    Notice,
)
from services.ingest.logic.ownership import Nobody, owner, pairing_at
from services.ingest.logic.state import DeviceState, StateChange, observe
from shared.schemas.documents import (
    Gateway,
    Ledger,
    Notification,
    Pairing,
    ParkedMessage,
    TimelineEntry,
)

PARKED_SECONDS = 7 * 86_400  # design.md, "Who owns a message"

DEVICE_ID = "iothub-connection-device-id"  # the application property (rest-contract.md)

Reason = Literal["malformed", "over_quota", "no_owner"]


@dataclass(frozen=True, slots=True)
class QueueAddress:
    """An account's queue."""

    namespace: str  # a name in the settings' list
    queue: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for an account's queue."""

    message_id: str
    body: bytes
    content_type: str | None
    properties: Mapping[str, str]


@dataclass(frozen=True)
class Known:
    """What the directory knows of the devices of a batch."""

    gateways: Mapping[str, Gateway]  # by device_id
    queues: Mapping[str, QueueAddress]  # by user_id
    devices: Mapping[tuple[str, str], DeviceState]  # by user_id and device_id


@dataclass(frozen=True)
class Limits:
    """Messages that a gateway may have stored on one UTC day."""

    data: int
    notifications: int


@dataclass
class Plan:
    """All effects of a run; nothing of it is done yet."""

    ledgers: dict[str, Ledger] = field(default_factory=dict)
    sends: dict[QueueAddress, list[Outgoing]] = field(default_factory=dict)
    notifications: list[Notification] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)
    parked: list[ParkedMessage] = field(default_factory=list)
    states: dict[tuple[str, str], StateChange] = field(default_factory=dict)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # by kind and outcome


def decide(
    run: Sequence[Event], stream: str, ledgers: Mapping[str, Ledger], known: Known, limits: Limits
) -> Plan:
    """The effects of a run. `stream` is "{event hub}/{partition}"; ledgers by device_id."""
    admission = _Admission(stream, ledgers, known, limits)
    for event in run:
        admission.admit(event)
    admission.plan.states = {
        key: change for key, change in admission.plan.states.items() if change.fields
    }
    return admission.plan


class _Admission:
    def __init__(
        self, stream: str, ledgers: Mapping[str, Ledger], known: Known, limits: Limits
    ) -> None:
        self.plan = Plan()
        self._stream = stream
        self._ledgers = ledgers
        self._known = known
        self._limits = limits

    def admit(self, event: Event) -> None:
        content = event.content
        if isinstance(content, Ignored):
            self._count("ignored", content.reason)
            return
        if not isinstance(content, Message):
            self._observe(event)
            self._count(type(content).__name__, "observed")
            return
        ledger = self._ledger(event.device_id)
        kind = type(content.content).__name__
        if accounting.is_repetition(ledger, content.number):
            self._count(kind, "duplicate")
            return
        self._observe(event)
        if isinstance(content.content, Malformed):
            self._park(event, content, "malformed", content.content.reason)
            self._count(kind, "parked")
            return
        self._count(kind, self._deliver(event, content, accounting.seen(ledger, content.number)))

    def _deliver(self, event: Event, message: Message, ledger: Ledger) -> str:
        """Plans the effects of a well-formed, new message; returns what became of it."""
        self.plan.ledgers[event.device_id] = ledger
        pairing = owner(
            self._known.gateways.get(event.device_id),
            enqueued_at=event.enqueued_at,
            created_at=message.created_at,
            claimed_at=message.claimed_at,
        )
        if pairing is Nobody.NOT_THEIRS:
            return "unowned"
        if isinstance(message.content, ManagementEvent):
            if isinstance(pairing, Nobody):
                return "unowned"
            self._enter(event, message, message.content, pairing)
            return "accepted"
        if isinstance(pairing, Nobody):
            self._park(event, message, "no_owner", "no account has paired this gateway yet")
            return "parked"
        if isinstance(message.content, Data) and pairing.user_id not in self._known.queues:
            self._park(event, message, "no_owner", "the account has no queue")
            return "parked"
        kind, limit = (
            (Charge.DATA, self._limits.data)
            if isinstance(message.content, Data)
            else (Charge.NOTIFICATIONS, self._limits.notifications)
        )
        charged = accounting.charged(ledger, message.created_at.date(), kind, limit)
        if charged is None:
            self._park(event, message, "over_quota", f"more than {limit} {kind.value} on one day")
            return "over_quota"
        self.plan.ledgers[event.device_id] = accounting.counted(
            charged, pairing, event.enqueued_at, len(event.raw.body)
        )
        if isinstance(message.content, Data):
            self._forward(event, message, message.content, pairing)
        elif isinstance(message.content, Notice):
            self._notify(event, message, message.content, pairing)
        return "accepted"

    def _forward(self, event: Event, message: Message, data: Data, pairing: Pairing) -> None:
        properties = {
            DEVICE_ID: event.device_id,
            "device_name": self._device_name(event.device_id, pairing),
            "iothub-creation-time-utc": _iso(message.created_at),
        }
        if message.mid:
            properties["mid"] = message.mid
        if data.user_route is not None:
            properties["user_route"] = data.user_route
        self.plan.sends.setdefault(self._known.queues[pairing.user_id], []).append(
            Outgoing(self._identity(event, message), data.body, data.content_type, properties)
        )

    def _notify(self, event: Event, message: Message, notice: Notice, pairing: Pairing) -> None:
        self.plan.notifications.append(
            Notification(
                id=self._identity(event, message),
                user_id=pairing.user_id,
                device_id=event.device_id,
                device_name=self._device_name(event.device_id, pairing),
                level=notice.level.value,
                text=notice.text,
                created_at=message.created_at,
                enqueued_at=event.enqueued_at,
            )
        )

    def _enter(
        self, event: Event, message: Message, management: ManagementEvent, pairing: Pairing
    ) -> None:
        self.plan.timeline.append(
            TimelineEntry(
                id=self._identity(event, message),
                device_id=event.device_id,
                user_id=pairing.user_id,
                event=management.event,
                detail=management.detail,
                created_at=message.created_at,
                enqueued_at=event.enqueued_at,
            )
        )

    def _park(self, event: Event, message: Message, reason: Reason, detail: str) -> None:
        pairing = pairing_at(self._known.gateways.get(event.device_id), event.enqueued_at)
        self.plan.parked.append(
            ParkedMessage(
                id=self._identity(event, message),
                holder=pairing.user_id if pairing else event.device_id,
                device_id=event.device_id,
                reason=reason,
                detail=detail,
                mid=message.mid,
                body=base64.b64encode(event.raw.body).decode(),
                content_type=_optional(event.raw.content_type),
                properties=_texts(event.raw.properties),
                annotations=_texts(event.raw.annotations),
                created_at=message.created_at,
                stream=self._stream,
                sequence_number=event.sequence_number,
                enqueued_at=event.enqueued_at,
                ttl=PARKED_SECONDS,
            )
        )

    def _observe(self, event: Event) -> None:
        """Fold the event into the state of the device, for the owner of that moment."""
        pairing = pairing_at(self._known.gateways.get(event.device_id), event.enqueued_at)
        if pairing is None:
            return
        key = (pairing.user_id, event.device_id)
        state = self._known.devices.get(key)
        if state is None:
            return
        change = self.plan.states.setdefault(key, StateChange(*key, self._stream))
        observe(change, state, event, stat_device_id(self._stream, event.device_id))

    def _ledger(self, device_id: str) -> Ledger:
        ledger = self.plan.ledgers.get(device_id) or self._ledgers.get(device_id)
        return ledger or Ledger(id=device_id, partition=self._stream)

    def _device_name(self, device_id: str, pairing: Pairing) -> str:
        state = self._known.devices.get((pairing.user_id, device_id))
        return state.name if state else pairing.device_name

    def _identity(self, event: Event, message: Message) -> str:
        """Deterministic, so that a replay makes the same document and the same message id."""
        unique = (
            f"{event.device_id}\n{message.number}"
            if message.number is not None
            else f"{event.device_id}\n{self._stream}\n{event.sequence_number}"
        )
        return hashlib.sha256(unique.encode()).hexdigest()[:32]

    def _count(self, kind: str, outcome: str) -> None:
        self.plan.outcomes[kind.lower(), outcome] += 1


def stat_device_id(stream: str, device_id: str) -> str:
    """Says where a device's ledger is: "{event hub}:{partition}:{device_id}"."""
    event_hub, _, partition = stream.rpartition("/")
    return f"{event_hub}:{partition}:{device_id}"


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _texts(named: Mapping[str | bytes, object]) -> dict[str, str]:
    return {_lenient(name): _lenient(value) for name, value in named.items() if value is not None}


def _optional(value: object) -> str | None:
    return None if value is None else _lenient(value)


def _lenient(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
