"""Accounts, gateways and what ingest left for them, on a local Azure with ingest alone."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeVar

import httpx
from azure.servicebus import ServiceBusReceivedMessage, ServiceBusReceiveMode
from azure.servicebus.aio import ServiceBusClient

from services.api.logic import pairing
from services.api.logic.accounts import create_account
from services.api.logic.ids import new_device_key, new_user_id
from services.api.logic.manufacturing import manufacture
from services.api.resources import Resources
from services.api.settings import ApiSettings
from shared.schemas.documents import DeviceDocument, Ledger
from stack.local import LocalStack
from tests.ingest.mqtt_gateway import Gateway
from tests.ingest.watched_gateways import WatchedGateways
from tests.known_secrets import keep

T = TypeVar("T")

WAIT_SECONDS = 60.0  # for what takes a second, on a machine that stands still


@dataclass(frozen=True)
class Owner:
    """An account and what reads its queue."""

    user_id: str
    queue_connection_string: str


@dataclass
class Platform:
    """A local Azure, and ingest as a process of its own."""

    stack: LocalStack
    resources: Resources
    keys: dict[str, str] = field(default_factory=dict)  # device keys by device id
    # When each write of whose a gateway is was acknowledged (Unix seconds), by device id.
    written: dict[str, list[float]] = field(default_factory=dict)

    async def owner(self) -> Owner:
        made = await create_account(
            self.resources.making_accounts, user_id=new_user_id(), username="tester"
        )
        keep(made.api_key, made.queue_connection_string)
        return Owner(made.account.user_id, made.queue_connection_string)

    async def gateway(self, owner: Owner | None = None, name: str = "Pump") -> Gateway:
        """A gateway that is manufactured, and paired where it has an owner."""
        made = await manufacture(self.resources.gateways, self.resources.hub, new_device_key())
        keep(made.device_key, made.device_connection_string)
        self.keys[made.device_id] = made.device_key
        gateway = Gateway(made.device_connection_string, self.stack.settings.mqtt_port)
        if owner is not None:
            await self.pair(gateway, owner, name)
        return gateway

    async def pair(self, gateway: Gateway, owner: Owner, name: str = "Pump") -> None:
        request = pairing.PairingRequest(owner.user_id, self.keys[gateway.device_id], name)
        await pairing.pair(self._stores(gateway), request)

    async def unpair(self, gateway: Gateway, owner: Owner) -> None:
        await pairing.unpair(self._stores(gateway), owner.user_id, gateway.device_id)

    async def document(self, owner: Owner, gateway: Gateway) -> DeviceDocument:
        found = await self.resources.devices.get(owner.user_id, gateway.device_id)
        assert found is not None
        return found

    async def counted(self, owner: Owner, gateway: Gateway, messages: int) -> Ledger:
        """The gateway's ledger with so many messages: it is committed after they were sent."""

        async def enough() -> Ledger | None:
            document = await self.document(owner, gateway)
            found = await self.resources.ledgers.get(document.stat_device_id)
            return found if found and found.messages >= messages else None

        ledger = await eventually(enough)
        assert ledger.messages == messages
        return ledger

    async def all_of(self, container: str, partition: str) -> list[dict[str, Any]]:
        """Every document of one partition key."""
        items = self.resources.azure.database.get_container_client(container)
        found = items.query_items("SELECT * FROM c", partition_key=partition)
        return [each async for each in found]

    async def readiness(self) -> tuple[int, str]:
        """What `/readyz` of ingest answers, and says of the consumer."""
        async with httpx.AsyncClient(
            base_url=self.stack.endpoints.ingest_url, timeout=60
        ) as client:
            answer = await client.get("/readyz")
        return answer.status_code, answer.json()["checks"].get("consumer", "")

    async def not_ready(self, because: str = "") -> str:
        """What the consumer says once ingest is not ready, and that is why."""

        async def says() -> str | None:
            status, text = await self.readiness()
            said = status != HTTPStatus.OK and text not in ("", "ok") and because in text
            return text if said else None

        return await eventually(says)

    async def restart(self, **settings: str) -> None:
        """Ingest once more, with other settings."""
        await self.stack.processes["ingest"].stop()
        await self.stack.start_service("ingest", extra=settings)
        await self.stack.wait_ready("ingest")

    async def waiting(self, owner: Owner) -> int:
        """How many messages lie on an account's queue."""
        admin = self.resources.azure.service_bus_administration("local")
        runtime = await admin.get_queue_runtime_properties(f"user-{owner.user_id}")
        return runtime.total_message_count or 0

    def _stores(self, gateway: Gateway) -> pairing.Stores:
        written = self.written.setdefault(gateway.device_id, [])
        return pairing.Stores(
            accounts=self.resources.accounts,
            groups=self.resources.groups,
            gateways=WatchedGateways(self.resources.gateways.container, written),
            devices=self.resources.devices,
            hub=self.resources.hub,
            user_messages=self.resources.user_messages,
        )


async def receive(
    owner: Owner, count: int, *, quiet: float = 0.5, seconds: float = WAIT_SECONDS
) -> list[ServiceBusReceivedMessage]:
    """Take `count` messages from an account's queue, and any more that come while it is quiet."""
    taken: list[ServiceBusReceivedMessage] = []
    deadline = time.monotonic() + seconds
    entity = owner.queue_connection_string.rpartition("EntityPath=")[2]
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(
            ServiceBusClient.from_connection_string(owner.queue_connection_string)
        )
        receiver = await stack.enter_async_context(
            client.get_queue_receiver(entity, receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE)
        )
        while time.monotonic() < deadline:
            enough = len(taken) >= count
            some = await receiver.receive_messages(200, max_wait_time=quiet if enough else 2.0)
            taken += some
            if enough and not some:
                break
    return taken


async def eventually(look: Callable[[], Awaitable[T | None]], seconds: float = WAIT_SECONDS) -> T:
    """What `look` finds, as soon as it is neither None nor empty."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.1)


def api_settings(stack: LocalStack) -> ApiSettings:
    """The settings by which accounts and gateways are made."""
    values: dict[str, object] = {
        name.removeprefix("MYMOTE_").lower(): value
        for name, value in stack.service_environment.items()
    }
    values["servicebus_namespaces"] = json.loads(str(values["servicebus_namespaces"]))
    known = {name: value for name, value in values.items() if name in ApiSettings.model_fields}
    return ApiSettings.model_validate(known)


def body_of(message: ServiceBusReceivedMessage) -> bytes:
    return b"".join(message.body)


def properties_of(message: ServiceBusReceivedMessage) -> dict[str, str]:
    properties = message.application_properties or {}
    return {_text(name): _text(value) for name, value in properties.items()}


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
