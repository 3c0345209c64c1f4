"""What the event stream holds, before (`RawEvent`) and after decoding (`Event`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.schemas.contract import ConnectionState
from shared.schemas.messages import Level


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event as it came off the wire, where names and most texts are bytes."""

    sequence_number: int
    offset: str
    enqueued_at: datetime  # when Event Hubs took it
    body: bytes
    annotations: Mapping[str | bytes, object]  # set by IoT Hub alone
    properties: Mapping[str | bytes, object]  # application properties: a device may write any
    message_id: object = None
    content_type: object = None


@dataclass(frozen=True, slots=True)
class Data:
    """A data message: opaque bytes for the owner's queue."""

    body: bytes
    content_type: str | None
    user_route: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification's text and level."""

    level: Level
    text: str


@dataclass(frozen=True, slots=True)
class ManagementEvent:
    """One of the gateway's own events, for its timeline."""

    event: str
    detail: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that breaks the rules of design.md, "Messages", and which one."""

    reason: str


@dataclass(frozen=True, slots=True)
class Message:
    """What a gateway sent."""

    mid: str  # "" where it has none
    number: int | None  # the mid as a number, where it is a decimal one
    created_at: datetime  # when the gateway stored it, after the clock rules
    claimed_at: datetime | None  # when the gateway says it stored it
    content: Data | Notice | ManagementEvent | Malformed


@dataclass(frozen=True, slots=True)
class TwinChange:
    """Reported properties that changed; empty where none of interest did."""

    reported: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConnectionChange:
    """The gateway connected or disconnected."""

    status: ConnectionState


@dataclass(frozen=True, slots=True)
class LifecycleChange:
    """The gateway's identity was created or deleted in the hub."""

    deleted: bool


@dataclass(frozen=True, slots=True)
class Ignored:
    """An event that is none of ours, and why."""

    reason: str


# What a device's ledger counts, and what therefore needs it.
COUNTED = (Message, ConnectionChange, LifecycleChange)

Content = Message | TwinChange | ConnectionChange | LifecycleChange | Ignored


@dataclass(frozen=True, slots=True)
class Event:
    """An event of one device."""

    raw: RawEvent
    device_id: str  # "" where it is Ignored for having none
    enqueued_at: datetime  # when the hub took it
    content: Content

    @property
    def sequence_number(self) -> int:
        return self.raw.sequence_number
