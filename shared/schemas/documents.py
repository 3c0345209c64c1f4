"""Documents as Cosmos DB keeps them. `shared.database` says which container holds which."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, PlainSerializer

from shared.schemas.contract import ConnectionState


def sortable(moment: datetime) -> str:
    """UTC, always with microseconds: as texts, such moments have the order of time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


# For what the database sorts or compares; pydantic alone leaves out a fraction that is 0.
Sortable = Annotated[datetime, PlainSerializer(sortable, when_used="json")]


class GroupDocument(BaseModel):
    """Container `groups`."""

    id: str
    user_id: str
    name: str = ""
    client_name: str = ""
    email: str = ""
    telephone: str = ""
    # Whoever deletes it sets this first; whoever puts a device into it takes it back.
    deleting: bool = False


class Pairing(BaseModel):
    """An interval in which a gateway belongs to an account: [started_at, ended_at)."""

    user_id: str
    device_name: str
    started_at: datetime
    # When the device's document and tags were there and the gateway was told to wipe its store.
    completed_at: datetime | None = None
    ended_at: datetime | None = None
    order_id: str = ""  # of the request that began it, so that it is known when it is sent again

    @property
    def owner(self) -> str:
        """`Ledger.owner` of what is counted in this pairing."""
        return ledger_owner(self.user_id, self.started_at)


def ledger_owner(user_id: str, started_at: datetime) -> str:
    """User id and start of the pairing: counts start again with each pairing."""
    return f"{user_id} {started_at.isoformat()}"


class Gateway(BaseModel):
    """Container `gateways`: the inventory, and the truth about who owns a gateway when.

    Changed under its ETag only.
    """

    id: str  # equals device_id
    device_id: str
    type: str
    manufactured_at: datetime
    pairings: list[Pairing] = Field(default_factory=list)  # oldest first, never overlapping


class DeviceDocument(BaseModel):
    """Container `devices`: a paired gateway as its account sees it.

    The api writes it at pairing; ingest keeps the state in it. `state_position` is the last
    event that changed the state, so that a replay changes nothing.
    """

    id: str  # equals device_id
    device_id: str
    user_id: str
    device_key: str
    group_id: str = ""
    joining: str = ""  # the group that it is about to be in, seen by whoever deletes that group
    name: str
    type: str = ""
    location: str = ""
    connectivity: str = ""
    fwversion: str = ""
    app_name: str = ""
    app_version: str = ""
    stat_device_id: str = ""
    ICCID: str = ""
    status: ConnectionState = ConnectionState.DISCONNECTED
    status_at: datetime | None = None  # when the status last changed, hub's time
    state_stream: str = ""  # "{event hub}/{partition}"
    state_position: int = -1  # sequence number in it
    paired_at: Sortable  # equals the pairing's started_at
    # Until it is "paired", only the gateway's own document tells whether the account has it.
    phase: Literal["pairing", "paired", "unpairing"] = "paired"

    @property
    def owner(self) -> str:
        """`Ledger.owner` of what is counted in the present pairing."""
        return ledger_owner(self.user_id, self.paired_at)


# A dataclass, since ingest keeps eight for each of very many devices: as a model one takes 600
# bytes, not 50.
@dataclass(frozen=True, slots=True)
class DayCount:
    """What was accepted of one device on one UTC day."""

    messages: int = 0
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Quota:
    """What was charged to one device on one UTC day of creation. The day never goes back."""

    day: date
    data: int = 0
    notifications: int = 0
    warned: bool = False  # the owner has the notification that messages are refused


@dataclass(frozen=True, slots=True)
class ParkedCount:
    """What was parked of one device on one UTC day (the hub's) because of its own doing."""

    day: date
    parked: int = 0
    dropped: int = 0  # above the cap: gone, only counted


@dataclass(frozen=True, slots=True)
class Connections:
    """Whether a device is connected, as the hub's own events say it, and how often that changed
    for one pairing on one UTC day (the hub's). The day never goes back."""

    status: ConnectionState
    day: date
    changes: int = 0
    owner: str = ""  # the `Pairing.owner` in force then; "" for none


class Ledger(BaseModel):
    """Container `stream`, one for each device and partition: what ingest counts per message."""

    id: str  # equals device_id
    partition: str  # "{event hub}/{partition}", the partition key
    kind: Literal["ledger"] = "ledger"
    highest_mid: int = -1  # a mid not above this one is a repetition
    quota: Quota | None = None
    parked: ParkedCount | None = None
    connections: Connections | None = None  # none before the first event of a paired device
    # Whether messages are parked for the first owner, and the sequence number up to which that
    # owner has them.
    waiting: bool = False
    handed_over: int = -1
    owner: str = ""  # user_id and start of the pairing that the counts below belong to
    messages: int = 0
    bytes: int = 0
    days: dict[date, DayCount] = Field(default_factory=dict)  # today and seven days back


class Position(BaseModel):
    """Container `stream`, one for each partition: how far its effects are committed."""

    id: Literal["position"] = "position"
    partition: str
    kind: Literal["position"] = "position"
    sequence_number: int
    offset: str
    enqueued_at: datetime
    # Accounts whose queue refuses, and the sequence number of the first message held back: all
    # of theirs in this partition from there on is parked, to be delivered in order.
    held: dict[str, int] = Field(default_factory=dict)


class Notification(BaseModel):
    """Container `notifications`: created once under a deterministic id, never upserted."""

    id: str
    user_id: str
    device_id: str
    device_name: str
    level: int
    text: str
    created_at: datetime  # when the gateway stored it
    enqueued_at: Sortable  # when the hub took it
    # What people did with it; ingest never changes it again.
    state: Literal["new", "acknowledged", "cleared"] = "new"
    state_at: datetime | None = None
    state_by: str = ""


class TimelineEntry(BaseModel):
    """Container `timeline`: what happened to a device."""

    id: str
    device_id: str
    user_id: str
    event: str
    detail: str
    created_at: datetime  # when it happened, by the clock of whoever says so
    enqueued_at: Sortable  # when the hub, or the api, took it


class ParkedMessage(BaseModel):
    """Container `parked`: a message that is not delivered yet, and why. Whole, so that it can be.

    `refused` is what an account's queue did not take: ingest delivers it by itself, in order.
    """

    id: str  # deterministic; equals the message_id on the queue
    holder: str  # the account it belongs to, or the device that nobody owned
    device_id: str
    reason: Literal["malformed", "over_quota", "no_owner", "refused"]
    detail: str
    mid: str  # as the gateway wrote it, "" for none
    body: str  # base64
    content_type: str | None = None
    properties: dict[str, str]  # application properties as the gateway wrote them, as text
    annotations: dict[str, str]  # what the hub added, as text
    created_at: datetime  # when the gateway stored it, after the clock rules
    stream: str
    sequence_number: int
    enqueued_at: datetime
    ordered_at: datetime | None = None  # when somebody asked for its redelivery
    ttl: int  # seconds


class Redelivery(BaseModel):
    """Container `stream`, in the partition of the message: the order to deliver it after all.

    Whoever orders it creates it; ingest carries it out and deletes it in the transaction that
    counts the message.
    """

    id: str  # "redelivery {id of the message}"
    partition: str  # "{event hub}/{partition}", the partition key
    kind: Literal["redelivery"] = "redelivery"
    message: ParkedMessage
    ordered_at: datetime
