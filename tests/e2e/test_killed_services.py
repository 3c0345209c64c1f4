"""Ingest and the local Azure are killed while gateways send: nothing is lost, all is in order."""

import asyncio
import random
from collections import defaultdict
from pathlib import Path

from pydantic import SecretStr

from stack.local import LocalStack
from tests.ingest.local_platform import (
    Owner,
    Platform,
    body_of,
    eventually,
    properties_of,
    receive,
)
from x400.core import Outcome
from x400.gateway import Gateway
from x400.settings import GatewaySettings

ACCOUNTS, GATEWAYS, MESSAGES_EACH = 3, 10, 50
SENDING_SECONDS = 6.0


class Fleet:
    """Virtual gateways, and what each was told is stored."""

    def __init__(self) -> None:
        self.gateways: list[Gateway] = []
        self.acknowledged: dict[str, list[bytes]] = defaultdict(list)
        self.owners: dict[str, Owner] = {}

    async def add(self, platform: Platform, owner: Owner, state: Path) -> None:
        identity = await platform.gateway(owner)
        settings = GatewaySettings(
            connection_string=SecretStr(identity.connection_string),
            state=state,
            port=platform.stack.settings.mqtts_port,
            ca_file=Path(platform.stack.endpoints.ca_file),
            backoff_initial=0.2,
            backoff_maximum=1,
            durability="normal",
        )

        def record(outcome: Outcome) -> None:
            if outcome.stored is not None:
                self.acknowledged[identity.device_id].append(outcome.draft.body)

        gateway = Gateway(settings, on_outcome=record)
        await gateway.start()
        self.gateways.append(gateway)
        self.owners[identity.device_id] = owner

    async def send(self) -> None:
        """Each gateway's messages, spread over some seconds."""
        randomness = random.Random(2)

        async def one(gateway: Gateway) -> None:
            for number in range(MESSAGES_EACH):
                text = f"{gateway.credentials.device_id} {number}"
                assert gateway.app.sendMessage(text) == 0
                await asyncio.sleep(randomness.random() * 2 * SENDING_SECONDS / MESSAGES_EACH)

        await asyncio.gather(*(one(gateway) for gateway in self.gateways))

    async def stop(self) -> None:
        await asyncio.gather(*(gateway.stop() for gateway in self.gateways))


async def kill_both(stack: LocalStack) -> None:
    """Ingest, then the local Azure, each in the middle of the traffic and for a while."""
    for name in ("ingest", "azure"):
        await asyncio.sleep(SENDING_SECONDS / 4)
        await stack.processes[name].kill()
        await asyncio.sleep(0.5)
        await stack.restart(name)


async def test_500_messages_survive_a_kill_of_ingest_and_of_azure(
    platform: Platform, tmp_path: Path
) -> None:
    owners = [await platform.owner() for _ in range(ACCOUNTS)]
    fleet = Fleet()
    try:
        for number in range(GATEWAYS):
            await fleet.add(platform, owners[number % ACCOUNTS], tmp_path / "gateways")
        await asyncio.gather(fleet.send(), kill_both(platform.stack))
        await asyncio.gather(*(gateway.until_delivered(40) for gateway in fleet.gateways))
        await eventually(lambda: counted(platform, fleet), seconds=40)
    finally:
        await fleet.stop()

    arrived: dict[str, list[bytes]] = defaultdict(list)
    for owner in owners:
        mine = [device for device, its in fleet.owners.items() if its is owner]
        for message in await receive(owner, MESSAGES_EACH * len(mine), seconds=30):
            device_id = properties_of(message)["iothub-connection-device-id"]
            assert device_id in mine
            arrived[device_id].append(body_of(message))
    assert sum(map(len, fleet.acknowledged.values())) == GATEWAYS * MESSAGES_EACH
    assert arrived == fleet.acknowledged


async def counted(platform: Platform, fleet: Fleet) -> bool:
    """Whether the statistics have reached what was sent; they never count a message twice."""
    totals = []
    for device_id, owner in fleet.owners.items():
        document = await platform.resources.devices.get(owner.user_id, device_id)
        assert document is not None
        ledger = await platform.resources.ledgers.get(document.stat_device_id)
        totals.append(ledger.messages if ledger else 0)
    assert max(totals) <= MESSAGES_EACH
    return sum(totals) == GATEWAYS * MESSAGES_EACH
