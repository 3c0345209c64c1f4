"""Accounts with gateways, made so fast that thousands of them are a matter of minutes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from services.api.logic.accounts import create_account
from services.api.logic.ids import device_id_of, new_device_key, new_user_id
from services.api.logic.manufacturing import GATEWAY_TYPE
from services.api.resources import Resources
from shared.schemas.documents import DeviceDocument, Gateway, Pairing

AT_ONCE = 6


@dataclass(frozen=True)
class Member:
    """An account and its gateways."""

    user_id: str
    device_ids: tuple[str, ...]

    @property
    def queue(self) -> str:
        return f"user-{self.user_id}"


async def make_member(resources: Resources, gateways: int = 1) -> Member:
    """An account, made as the operator's tool makes it, and paired gateways.

    The gateways are the documents that pairing leaves, without identities in IoT Hub: those cost
    twice as much as all the rest, and messages that `tests.load.stream` puts into the stream need
    none.
    """
    user_id = new_user_id()
    await create_account(resources.making_accounts, user_id=user_id, username="load")
    device_ids = [await _make_gateway(resources, user_id) for _ in range(gateways)]
    return Member(user_id, tuple(device_ids))


async def make_members(
    resources: Resources, count: int, gateways: int = 1
) -> AsyncIterator[Member]:
    """`count` accounts, each as soon as it is there; a few are made at once."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one() -> Member:
        async with turn:
            return await make_member(resources, gateways)

    async with _cancelled_at_the_end([asyncio.create_task(one()) for _ in range(count)]) as tasks:
        for made in asyncio.as_completed(tasks):
            yield await made


async def _make_gateway(resources: Resources, user_id: str) -> str:
    now = datetime.now(UTC)
    device_key = new_device_key()
    device_id = device_id_of(device_key)
    pairing = Pairing(user_id=user_id, device_name="Load", started_at=now, completed_at=now)
    gateway = Gateway(
        id=device_id,
        device_id=device_id,
        type=GATEWAY_TYPE,
        manufactured_at=now,
        pairings=[pairing],
    )
    document = DeviceDocument(
        id=device_id,
        device_id=device_id,
        user_id=user_id,
        device_key=device_key,
        name=pairing.device_name,
        paired_at=now,
    )
    await resources.gateways.create(gateway)
    await resources.devices.put(document)
    return device_id


@asynccontextmanager
async def _cancelled_at_the_end(
    tasks: list[asyncio.Task[Member]],
) -> AsyncIterator[list[asyncio.Task[Member]]]:
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
