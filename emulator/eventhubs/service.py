"""Event Hubs: the stream that IoT Hub routes to, and hubs of one's own."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from emulator.amqp.message import (
    MESSAGE_ANNOTATIONS,
    Parts,
    Properties,
    annotations_section,
    application_properties_section,
    data_section,
    properties_section,
)
from emulator.amqp.node import AmqpError, ManagementNode, Node, Right
from emulator.amqp.types import Symbol
from emulator.eventhubs.hub import Hub
from emulator.eventhubs.log import SCHEMA
from emulator.eventhubs.management import HubManagement
from emulator.eventhubs.nodes import PARTITION_KEY
from emulator.sas import SasError, SasToken
from emulator.store import Store

MANAGEMENT = "$management"
ALL_RIGHTS = frozenset(Right)
PURGE_INTERVAL = 60.0
PURGE_PAUSE = 0.05


class EventHubs:
    """The event hubs of the namespace: a `Service` for their addresses.

    `key_of` gives a shared access rule's key by its name; a rule allows everything. Azure's
    standard tier takes deliveries of 1 MiB and keeps events for one day unless told otherwise.
    """

    max_message_size = 1 << 20

    def __init__(
        self,
        store: Store,
        hubs: Mapping[str, int],
        key_of: Callable[[str], bytes | None],
        *,
        consumer_groups: Iterable[str] = (),
        retention: timedelta = timedelta(days=1),
    ) -> None:
        store.create(*SCHEMA)
        groups = tuple(consumer_groups)
        self._hubs = {name.lower(): Hub(store, name, count, groups) for name, count in hubs.items()}
        self._key_of = key_of
        self._retention = retention

    def append(
        self,
        hub: str,
        *,
        partition_key: str,
        body: bytes,
        annotations: Mapping[str, object],
        application_properties: Mapping[str, object],
        message_id: str | None = None,
        correlation_id: str | None = None,
        content_type: str | None = None,
        content_encoding: str | None = None,
    ) -> int:
        """Add an event; returns its sequence number. It is durable when the store is."""
        properties = Properties(
            message_id=message_id,
            correlation_id=correlation_id,
            content_type=None if content_type is None else Symbol(content_type),
            content_encoding=None if content_encoding is None else Symbol(content_encoding),
        )
        keyed = {PARTITION_KEY: partition_key, **annotations}
        event = Parts(
            message_annotations=annotations_section(MESSAGE_ANNOTATIONS, keyed),
            properties=properties_section(properties),
            application_properties=application_properties_section(application_properties),
            body=data_section(body),
        )
        return self._hubs[hub.lower()].choose(partition_key).append(event)

    async def keep_retention(self) -> None:
        """Delete what is older than the retention, a little at a time, until cancelled."""
        while True:
            cutoff = round((time.time() - self._retention.total_seconds()) * 1000)
            partitions = [p for hub in self._hubs.values() for p in hub.partitions]
            more = [partition.purge(cutoff) for partition in partitions]
            await asyncio.sleep(PURGE_PAUSE if any(more) else PURGE_INTERVAL)

    # --- the Service

    def owns(self, address: str) -> bool:
        first = address.partition("/")[0].lower()
        return first == MANAGEMENT or first in self._hubs

    def rights(self, address: str, token: SasToken) -> frozenset[Right]:
        """Raises SasError. A token for any hub opens `$management`, whose requests name theirs."""
        key = self._key_of(token.key_name)
        if key is None:
            raise SasError(f"there is no rule '{token.key_name}'")
        host, _, path = token.resource.partition("/")
        if address.lower() == MANAGEMENT:
            if path and path.partition("/")[0] not in self._hubs:
                raise SasError("the token was made for another resource")
            token.verify(key, token.resource)
        else:
            token.verify(key, f"{host}/{address}")
        return ALL_RIGHTS

    def node(self, address: str) -> Node | ManagementNode:
        name, *path = address.split("/")
        if name.lower() == MANAGEMENT:
            return HubManagement(self._find, self._check)
        return self._find(name).node(path)

    def _find(self, name: str) -> Hub:
        hub = self._hubs.get(name.lower())
        if hub is None:
            reason = f"the messaging entity '{name}' could not be found"
            raise AmqpError("amqp:not-found", reason)
        return hub

    def _check(self, hub: str, token: str) -> None:
        self.rights(hub, SasToken.parse(token))
