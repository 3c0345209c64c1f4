"""Senders of the tests' own, on a local Azure where no api competes with them."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar, cast

from services.api.documents.user_messages import UserMessage
from services.api.logic import feedback, outbox_owner, user_messages
from services.api.logic.ids import new_device_key, new_user_id
from services.api.logic.intervals import begun
from services.api.logic.manufacturing import Manufactured, manufacture
from services.api.logic.sender import Sender
from services.api.resources import Resources, open_resources
from shared.database import provision
from shared.errors import MyMoteError
from shared.iothub import IotHub
from shared.iothub_messages import FeedbackRecord
from shared.schemas.documents import DeviceDocument
from stack.local import LocalStack
from tests.api.customers import settings_of
from tests.api.mqtt_gateway import Gateway, connected
from tests.running_stack import settings_on_free_ports

T = TypeVar("T")

TAKEOVER = timedelta(seconds=20)  # a claim has run out by then
STEPS = ("write", "send_message", "complete_feedback", "purge_messages")


async def eventually(look: Callable[[], Awaitable[T | None]], seconds: float = 30) -> T:
    """What `look` returns once that is something. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while (found := await look()) is None or found is False:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
        return found


class KilledError(BaseException):
    """The process ended here; nothing in it can catch this."""


@dataclass
class Faults:
    """What goes wrong for one sender. Steps are its writes, to the database and to IoT Hub."""

    dies_after: int = 0
    refuses: list[MyMoteError] = field(default_factory=list)  # the next sends, instead of sending
    steps: list[str] = field(default_factory=list)

    def done(self, step: str) -> None:
        self.steps.append(step)
        if len(self.steps) == self.dies_after:
            raise KilledError


class _Watched:
    def __init__(self, real: object, faults: Faults) -> None:
        self._real = real
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._real, name)
        if name not in STEPS:
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            if name == "send_message" and self._faults.refuses:
                raise self._faults.refuses.pop(0)
            result = await method(*arguments, **named)
            self._faults.done(name)
            return result

        return call


@dataclass(frozen=True)
class Quiet:
    """A local Azure without any service."""

    stack: LocalStack
    resources: Resources

    def sender(
        self,
        faults: Faults | None = None,
        *,
        ahead: timedelta = timedelta(0),
        at: datetime | None = None,
    ) -> Sender:
        """A process's sender, whose clock is ahead of the others', or stands `at` a moment."""
        messages: Any = self.resources.user_messages
        hub: Any = self.resources.hub
        if faults is not None:
            messages, hub = _Watched(messages, faults), _Watched(hub, faults)
        return Sender(
            messages,
            self.resources.gateways,
            cast("IotHub", hub),
            lambda: (at or datetime.now(UTC)) + ahead,
        )

    async def paired(self) -> "Paired":
        """A new gateway that a new account has."""
        made = await manufacture(self.resources.gateways, self.resources.hub, new_device_key())
        device = Paired(self, made, new_user_id())
        await device.pair(device.user_id)
        return device


@dataclass
class Paired:
    """A gateway and the account that has it."""

    quiet: Quiet
    made: Manufactured
    user_id: str

    @property
    def device_id(self) -> str:
        return self.made.device_id

    async def pair(self, user_id: str) -> None:
        """Only what user messages look at: the truth, the outbox, the account's entry."""
        resources = self.quiet.resources
        found = await resources.gateways.get(self.device_id)
        assert found is not None
        gateway = begun(found[0], user_id, "Pump", datetime.now(UTC))
        assert await resources.gateways.replace(gateway, found[1])
        started_at = gateway.pairings[-1].started_at
        await outbox_owner.own(
            resources.user_messages, self.device_id, user_id, started_at, lambda: datetime.now(UTC)
        )
        await resources.hub.purge_messages(self.device_id)
        self.user_id = user_id
        await resources.devices.put(
            DeviceDocument(
                id=self.device_id,
                device_id=self.device_id,
                user_id=user_id,
                device_key=self.made.device_key,
                name="Pump",
                paired_at=started_at,
            )
        )

    def stores(self, sender: Sender) -> user_messages.Stores:
        return user_messages.Stores(
            self.quiet.resources.devices, self.quiet.resources.gateways, sender
        )

    async def send(self, sender: Sender, *bodies: str, **named: Any) -> list[UserMessage]:
        """Accept messages, one after the other."""
        return [
            await user_messages.accept(
                self.stores(sender),
                user_id=self.user_id,
                device_id=self.device_id,
                body=body.encode(),
                **named,
            )
            for body in bodies
        ]

    async def states(self) -> list[str]:
        """Of all messages, in the order in which they were accepted."""
        messages = self.quiet.resources.user_messages
        page = await messages.page(self.device_id, self.user_id, (), limit=200, cursor="")
        return [str(each.state) for each in reversed(page.messages)]

    async def outbox(self) -> Mapping[str, Any]:
        held = await self.quiet.resources.user_messages.outbox(self.device_id)
        assert held is not None
        return held.outbox.model_dump()

    def online(self) -> AbstractAsyncContextManager[Gateway]:
        settings = self.quiet.stack.settings
        return connected(self.made.device_connection_string, settings.bind, settings.mqtt_port)

    async def settle(self, sender: Sender) -> None:
        """Read feedback and send, until nothing is open."""

        async def settled() -> bool:
            while await feedback.receive(sender):
                pass
            await sender.come(self.device_id)
            return (await self.outbox())["due"] is None

        await eventually(settled)


async def arrived(gateway: Gateway, count: int) -> list[tuple[str, bytes]]:
    """Message ids and bodies, in order: so many, and what else has come by then."""
    found: list[tuple[str, bytes]] = []
    while len(found) < count or not gateway.messages.empty():
        properties, body = await gateway.message()
        found.append((properties["$.mid"], body))
    return found


def record(message_id: str, device_id: str, status: str) -> FeedbackRecord:
    return FeedbackRecord(originalMessageId=message_id, deviceId=device_id, statusCode=status)


@asynccontextmanager
async def quiet_azure(state_dir: Path) -> AsyncIterator[Quiet]:
    """The local Azure and its containers."""
    stack = LocalStack.prepare(settings_on_free_ports(state_dir / secrets.token_hex(4)))
    try:
        await stack.start_azure()
        settings = settings_of(stack)
        async with open_resources(settings) as resources:
            await provision(resources.azure.cosmos, settings.cosmos_database)
            yield Quiet(stack, resources)
    finally:
        await stack.stop()
