"""All that was found after a run, and reading Cosmos DB's part of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from azure.cosmos.aio import DatabaseProxy

from shared.database import GATEWAYS, NOTIFICATIONS, PARKED, STREAM, TIMELINE, ContainerSpec
from shared.schemas.documents import (
    Gateway,
    Ledger,
    Notification,
    ParkedMessage,
    Position,
    TimelineEntry,
)
from tests.ledger.oracle import Rules
from tests.ledger.records import (
    FleetRecord,
    Key,
    PairingChange,
    Received,
    Stored,
    StreamEvent,
    Taken,
    Wiped,
)


@dataclass
class Documents:
    """What Cosmos DB holds."""

    gateways: dict[str, Gateway] = field(default_factory=dict)
    positions: dict[str, Position] = field(default_factory=dict)  # by partition's number
    ledgers: list[Ledger] = field(default_factory=list)
    notifications: list[Notification] = field(default_factory=list)
    parked: list[ParkedMessage] = field(default_factory=list)
    timeline: list[TimelineEntry] = field(default_factory=list)
    orders: int = 0  # to redeliver


@dataclass
class Evidence:
    """Everything that the checker is given: it asks nobody."""

    rules: Rules
    sent: int  # messages that the gateways' apps were told to send
    fleet: Sequence[FleetRecord] = ()
    stream: Sequence[StreamEvent] = ()
    received: Sequence[Received] = ()
    changes: Sequence[PairingChange] = ()
    documents: Documents = field(default_factory=Documents)
    unsettled: Sequence[str] = ()  # what was still under way when time was up

    def stored(self) -> dict[Key, Stored]:
        return {each.key: each for each in self.fleet if isinstance(each, Stored)}

    def taken(self) -> dict[Key, Taken]:
        return {each.key: each for each in self.fleet if isinstance(each, Taken)}

    def wiped(self) -> dict[Key, Wiped]:
        return {each.key: each for each in self.fleet if isinstance(each, Wiped)}


async def read_documents(database: DatabaseProxy) -> Documents:
    """Everything, whole containers."""
    found = Documents()
    for each in await _read(database, STREAM):
        match each["kind"]:
            case "position":
                position = Position.model_validate(each)
                found.positions[position.partition.rpartition("/")[2]] = position
            case "ledger":
                found.ledgers.append(Ledger.model_validate(each))
            case _:
                found.orders += 1
    gateways = [Gateway.model_validate(each) for each in await _read(database, GATEWAYS)]
    found.gateways = {each.device_id: each for each in gateways}
    found.notifications = [
        Notification.model_validate(each) for each in await _read(database, NOTIFICATIONS)
    ]
    found.parked = [ParkedMessage.model_validate(each) for each in await _read(database, PARKED)]
    found.timeline = [
        TimelineEntry.model_validate(each) for each in await _read(database, TIMELINE)
    ]
    return found


async def _read(database: DatabaseProxy, container: ContainerSpec) -> list[dict[str, Any]]:
    items = database.get_container_client(container.name).read_all_items(max_item_count=1000)
    return [item async for item in items]
