"""An AMQP server with Event Hubs and Service Bus, on a free port of this process."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from emulator.amqp.server import AmqpServer
from emulator.eventhubs.service import EventHubs
from emulator.servicebus.service import ServiceBus
from emulator.store import Store

KEY = "the-namespace-key"
HUB = "telemetry"
GROUP = "second"


@dataclass
class Namespace:
    """What a test needs to connect, and to look behind."""

    store: Store
    hubs: EventHubs
    bus: ServiceBus
    server: AmqpServer
    port: int

    def connection_string(
        self, *, key: str = KEY, rule: str = "RootManageSharedAccessKey", entity: str = ""
    ) -> str:
        path = f";EntityPath={entity}" if entity else ""
        return (
            f"Endpoint=sb://localhost:{self.port};SharedAccessKeyName={rule};"
            f"SharedAccessKey={key};UseDevelopmentEmulator=true{path}"
        )


def key_of(rule: str) -> bytes | None:
    return KEY.encode() if rule == "RootManageSharedAccessKey" else None


async def open_namespace(path: Path) -> Namespace:
    store = Store(path)
    hubs = EventHubs(store, {HUB: 4}, key_of, consumer_groups=(GROUP,))
    bus = ServiceBus(store, KEY.encode())
    server = AmqpServer(store, (hubs, bus))
    port = await server.listen("127.0.0.1", 0)
    return Namespace(store, hubs, bus, server, port)


async def close_namespace(namespace: Namespace) -> None:
    await namespace.server.stop()
    namespace.bus.close()
    with suppress(asyncio.CancelledError):
        namespace.store.close()
