"""A running Service Bus namespace, and what the tests do with it."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from azure.servicebus import ServiceBusReceivedMessage
from azure.servicebus.aio import ServiceBusClient, ServiceBusReceiver
from azure.servicebus.aio.management import ServiceBusAdministrationClient
from azure.servicebus.exceptions import (
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
)

from emulator.amqp.message import data_section
from emulator.amqp.node import Right
from emulator.servicebus.queue import NewMessage, Queue
from emulator.servicebus.service import ServiceBus
from emulator.servicebus.settings import AccessRule, QueueSettings

ROOT_KEY = "cm9vdC1rZXk="
LISTEN_KEY = "bGlzdGVuLWtleQ=="
WAIT = 30  # seconds, for a message that is there
REFUSED = (ServiceBusAuthenticationError, ServiceBusAuthorizationError)


@dataclass
class Namespace:
    """A running namespace and how to reach it."""

    service: ServiceBus
    https_port: int
    amqp_port: int
    ca_file: Path

    def connection_string(
        self, port: int, key: str = ROOT_KEY, rule: str = "RootManageSharedAccessKey"
    ) -> str:
        return (
            f"Endpoint=sb://localhost:{port};SharedAccessKeyName={rule};SharedAccessKey={key};"
            "UseDevelopmentEmulator=true;"
        )

    def administration(
        self, key: str = ROOT_KEY, rule: str = "RootManageSharedAccessKey"
    ) -> ServiceBusAdministrationClient:
        return ServiceBusAdministrationClient.from_connection_string(
            self.connection_string(self.https_port, key, rule),
            connection_verify=str(self.ca_file),
            retry_total=0,
        )

    def client(
        self, key: str = ROOT_KEY, rule: str = "RootManageSharedAccessKey"
    ) -> ServiceBusClient:
        return ServiceBusClient.from_connection_string(
            self.connection_string(self.amqp_port, key, rule), retry_total=0
        )


def create(namespace: Namespace, name: str, **settings: object) -> Queue:
    """A queue with a rule that may only listen."""
    rule = AccessRule("listen", frozenset({Right.LISTEN}), LISTEN_KEY, "second", 0, 0)
    return namespace.service.broker.create(name, QueueSettings(**settings), (rule,))  # type: ignore[arg-type]  # any of them


def put(queue: Queue, bodies: Iterable[str]) -> list[int]:
    """Send without a client."""
    return queue.send([NewMessage(data_section(body.encode())) for body in bodies])


async def lock(receiver: ServiceBusReceiver, count: int) -> list[ServiceBusReceivedMessage]:
    """Receive so many, which may come in several parts."""
    received: list[ServiceBusReceivedMessage] = []
    while len(received) < count:
        some = await receiver.receive_messages(count - len(received), WAIT)
        assert some, f"only {len(received)} of {count} messages came"
        received += some
    return received


async def receive(receiver: ServiceBusReceiver, count: int) -> list[ServiceBusReceivedMessage]:
    """Receive and complete."""
    received = await lock(receiver, count)
    await asyncio.gather(*(receiver.complete_message(message) for message in received))
    return received


def texts(messages: Iterable[ServiceBusReceivedMessage]) -> list[str]:
    return [str(message) for message in messages]
