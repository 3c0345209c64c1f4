"""What is known when a run of events is decided about, and what is decided."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from services.ingest.logic.events import Event
from services.ingest.logic.state import DeviceState, StateChange
from shared.schemas.documents import (
    Gateway,
    Ledger,
    Notification,
    Pairing,
    ParkedMessage,
    TimelineEntry,
)


@dataclass(frozen=True, slots=True)
class QueueAddress:
    """An account's queue."""

    namespace: str  # a name in the settings' list
    queue: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message for an account's queue, and the event it came from."""

    message_id: str
    body: bytes
    content_type: str | None
    properties: Mapping[str, str]
    event: Event  # a Message of Data; whole, so that what a queue refuses can be parked whole


@dataclass(frozen=True)
class Known:
    """What the directory knows of the devices of a run."""

    gateways: Mapping[str, Gateway]  # by device_id
    queues: Mapping[str, QueueAddress]  # by user_id; an account without a record has none
    devices: Mapping[tuple[str, str], DeviceState]  # by user_id and device_id

    def device_name(self, device_id: str, pairing: Pairing) -> str:
        """What the account calls the device: now, or else when it was paired."""
        state = self.devices.get((pairing.user_id, device_id))
        return state.name if state else pairing.device_name


@dataclass(frozen=True)
class Limits:
    """Messages of one gateway and UTC day."""

    data: int  # by day of creation
    notifications: int  # by day of creation
    parked: int  # malformed and over quota, by the hub's day: more is dropped
    connections: int = 50  # entries in the timeline, by the hub's day: more are left out


@dataclass
class Plan:
    """All effects of a run; nothing of it is done yet."""

    ledgers: dict[str, Ledger] = field(default_factory=dict)  # by device_id
    sends: dict[str, list[Outgoing]] = field(default_factory=dict)  # by user_id, in order
    notifications: list[Notification] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)
    parked: list[ParkedMessage] = field(default_factory=list)
    states: dict[tuple[str, str], StateChange] = field(default_factory=dict)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)  # by kind and outcome
    dropped: Counter[str] = field(default_factory=Counter)  # above the cap, by reason
    limited: set[str] = field(default_factory=set)  # devices that reached the cap in this run
    # Devices whose first owner gets messages of before the pairing without their being parked.
    at_once: set[str] = field(default_factory=set)

    def count(self, kind: str, outcome: str) -> None:
        """Count what became of one event."""
        self.outcomes[kind.lower(), outcome] += 1
