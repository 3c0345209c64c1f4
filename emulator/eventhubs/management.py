"""`$management` of Event Hubs: what the SDKs READ of hubs and partitions."""

from collections.abc import Callable
from typing import Any

from emulator.amqp.node import AmqpError, Request, Response
from emulator.amqp.types import Array, Int, Timestamp
from emulator.eventhubs.hub import Hub
from emulator.sas import SasError

HUB = "com.microsoft:eventhub"
PARTITION = "com.microsoft:partition"
_STRING = 0xB1


class HubManagement:
    """Answers READ. Each request names its hub and carries a token that opens it."""

    def __init__(self, find: Callable[[str], Hub], check: Callable[[str, str], None]) -> None:
        self._find = find
        self._check = check

    async def respond(self, request: Request) -> Response:
        """Raises AmqpError amqp:not-found."""
        properties = request.properties
        name, kind = str(properties.get("name")), properties.get("type")
        if request.operation != "READ" or kind not in (HUB, PARTITION):
            reason = f"{request.operation} of {kind} is not emulated"
            return Response(501, reason, None, "amqp:not-implemented")
        try:
            self._check(name, str(properties.get("security_token")))
        except SasError as problem:
            return Response(401, f"'{name}': {problem}", None, "amqp:unauthorized-access")
        hub = self._find(name)
        if kind == HUB:
            return Response(200, "OK", _hub(hub))
        try:
            return Response(200, "OK", _partition(hub, str(properties.get("partition"))))
        except AmqpError as refusal:
            return Response(404, refusal.description, None, refusal.condition)


def _hub(hub: Hub) -> dict[str, Any]:
    return {
        "name": hub.name,
        "type": HUB,
        "created_at": Timestamp(hub.partitions[0].created),
        "partition_count": Int(len(hub.partitions)),
        "partition_ids": Array(_STRING, [partition.name for partition in hub.partitions]),
    }


def _partition(hub: Hub, name: str) -> dict[str, Any]:
    partition = hub.partition(name)
    return {
        "name": hub.name,
        "type": PARTITION,
        "partition": partition.name,
        "begin_sequence_number": partition.first_sequence,
        "last_enqueued_sequence_number": partition.last.sequence,
        "last_enqueued_offset": str(partition.last.offset),
        "last_enqueued_time_utc": Timestamp(partition.last.enqueued),
        "is_partition_empty": partition.empty,
    }
