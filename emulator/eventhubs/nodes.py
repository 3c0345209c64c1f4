"""What attaches to an event hub: receivers of one partition, and senders."""

import asyncio
import time
import zlib
from itertools import count
from typing import TYPE_CHECKING

from emulator.amqp.message import (
    DELIVERY_ANNOTATIONS,
    Parts,
    annotations_section,
    split,
    unbatch,
)
from emulator.amqp.node import (
    AmqpError,
    Attach,
    IncomingLink,
    Outcome,
    OutgoingLink,
    Source,
    Target,
)
from emulator.amqp.types import Timestamp
from emulator.eventhubs.log import Partition
from emulator.eventhubs.selector import parse_selector

if TYPE_CHECKING:
    from emulator.eventhubs.hub import Hub

EPOCH_PROPERTY = "com.microsoft:epoch"
RUNTIME_METRIC = "com.microsoft:enable-receiver-runtime-metric"
PARTITION_KEY = "x-opt-partition-key"
# Azure's limit of receivers without an epoch on one partition and consumer group.
MAX_RECEIVERS = 5
READ_STEP = 256
STOLEN = "amqp:link:stolen"


class Receiver:
    """Reads one partition for one link, in steps, as far as the link's credit goes."""

    def __init__(
        self, group: "ReceiverGroup", link: OutgoingLink, attach: Attach, epoch: int | None
    ) -> None:
        self.epoch = epoch
        self.link = link
        self._group = group
        self._partition = group.partition
        self._read = self._partition.before(parse_selector(attach.selector))
        self._again = False
        self._metric = RUNTIME_METRIC in attach.capabilities
        self._partition.readers.add(self)

    def pump(self) -> None:
        """Send what is durable. Deliveries are settled: a receiver keeps its own position."""
        limit = min(self.link.credit, READ_STEP)
        if limit <= 0 or self._read >= self._partition.durable.sequence:
            return
        prefix = self._last_enqueued() if self._metric else b""
        for sequence, message in self._partition.read(self._read, limit).fetchall():
            if self.link.credit <= 0:
                return
            self._read = sequence
            self.link.send(prefix + message, b"%x" % sequence, settled=True)
        if not self._again:  # the others have their turn in between
            self._again = True
            asyncio.get_running_loop().call_soon(self._pump_again)

    def _pump_again(self) -> None:
        self._again = False
        self.pump()

    def settle(self, _delivery_id: int, outcome: Outcome) -> Outcome | None:
        return outcome

    def close(self) -> None:
        self._partition.readers.discard(self)
        self._group.receivers.discard(self)

    def _last_enqueued(self) -> bytes:
        last = self._partition.durable
        values = {
            "last_enqueued_sequence_number": last.sequence,
            "last_enqueued_offset": str(last.offset),
            "last_enqueued_time_utc": Timestamp(last.enqueued),
            "runtime_info_retrieval_time_utc": Timestamp(time.time_ns() // 1_000_000),
        }
        return annotations_section(DELIVERY_ANNOTATIONS, values)


class ReceiverGroup:
    """The receivers of one partition in one consumer group: an address to receive from."""

    def __init__(self, partition: Partition) -> None:
        self.partition = partition
        self.receivers: set[Receiver] = set()

    def open_source(self, attach: Attach, link: OutgoingLink) -> Source:
        """Raises AmqpError where another receiver's epoch is higher, or there are too many."""
        epoch = attach.properties.get(EPOCH_PROPERTY)
        if epoch is not None and not isinstance(epoch, int):
            raise AmqpError("amqp:invalid-field", f"{EPOCH_PROPERTY} is not a number")
        receiver = Receiver(self, link, attach, epoch)
        try:
            self._admit(epoch)
        except AmqpError:
            receiver.close()
            raise
        self.receivers.add(receiver)
        return receiver

    def open_target(self, _attach: Attach, _link: IncomingLink) -> Target:
        """Consumer groups take nothing."""
        raise AmqpError("amqp:not-allowed", "a consumer group can only be received from")

    def _admit(self, epoch: int | None) -> None:
        held = max((r.epoch for r in self.receivers if r.epoch is not None), default=None)
        if epoch is None:
            if held is not None:
                reason = f"a receiver with epoch '{held}' exists, so one without is not allowed"
                raise AmqpError(STOLEN, reason)
            if len(self.receivers) >= MAX_RECEIVERS:
                reason = f"a partition has {MAX_RECEIVERS} receivers at most in a consumer group"
                raise AmqpError("amqp:resource-limit-exceeded", reason)
            return
        if held is not None and held > epoch:
            raise AmqpError(STOLEN, f"a receiver with the higher epoch '{held}' exists")
        reason = f"a receiver with epoch '{epoch}' was created, hence this one is disconnected"
        for receiver in list(self.receivers):
            receiver.link.detach(AmqpError(STOLEN, reason))


class Sender:
    """Takes events for a hub, or for one partition of it."""

    def __init__(self, hub: "Hub", partition: Partition | None) -> None:
        self._hub = hub
        self._partition = partition

    def receive(self, payload: bytes, message_format: int) -> None:
        """One event or a batch. Raises DecodeError before anything is written."""
        events = [split(event) for event in unbatch(payload, message_format)]
        if not events:
            return
        for event in events:  # all are readable, or none is kept
            event.read_message_annotations()
        key = _partition_key(split(payload) if message_format else events[0])
        if key is None:
            key = _partition_key(events[0])
        partition = self._partition or self._hub.choose(key)
        for event in events:
            partition.append(event)

    def close(self) -> None:
        """Nothing to give up."""


class SenderNode:
    """An address to send to: `{hub}` or `{hub}/Partitions/{id}`."""

    def __init__(self, hub: "Hub", partition: Partition | None) -> None:
        self._hub = hub
        self._partition = partition

    def open_source(self, _attach: Attach, _link: OutgoingLink) -> Source:
        """Hubs are received from by consumer group."""
        raise AmqpError("amqp:not-allowed", "receive from {hub}/ConsumerGroups/{g}/Partitions/{n}")

    def open_target(self, _attach: Attach, _link: IncomingLink) -> Target:
        return Sender(self._hub, self._partition)


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key: the same for ever, for a given number of partitions."""
    return zlib.crc32(key.encode()) % partitions


def _partition_key(parts: Parts) -> str | None:
    key = parts.read_message_annotations().get(PARTITION_KEY)
    if isinstance(key, bytes):
        return key.decode(errors="replace")
    return None if key is None else str(key)


def turns(partitions: int) -> "count[int]":
    """Whose turn it is for events without a key; begins anywhere, so that restarts spread."""
    return count(time.time_ns() % partitions)
