"""A local Azure, two ingest processes, accounts, gateways and readers: what a run works with."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.api.resources import open_resources
from stack.local import LocalStack
from tests.free_ports import free_ports
from tests.ingest.local_platform import Owner, Platform, api_settings
from tests.ledger.evidence import Evidence, read_documents
from tests.ledger.faults import INGESTS
from tests.ledger.oracle import Rules
from tests.ledger.pairings import Pairings
from tests.ledger.plan import FleetPlan, GatewayPlan
from tests.ledger.readers import Readers
from tests.ledger.records import Done, FleetRecord, Stored, Taken, fleet_lines, read_fleet
from tests.ledger.stream import GROUP, read
from tests.running_stack import provision_database, settings_on_free_ports

MAKE_AT_ONCE = 8


@dataclass(frozen=True)
class Setting:
    """What a world is made of."""

    accounts: int
    gateways: int
    unpaired: int  # the last ones are nobody's to begin with
    rules: Rules
    repeats: float = 0.0  # share of events after which IoT Hub repeats a gateway's last ones
    lost_pubacks: float = 0.0
    seed: int = 0
    # A bug of `tests.ledger.sabotage` that ingest runs with.
    bug: str | None = None
    ingests: Sequence[str] = INGESTS


@dataclass
class World:
    """Everything that runs. `open_world` makes it and stops it."""

    directory: Path
    setting: Setting
    stack: LocalStack
    platform: Platform
    pairings: Pairings
    readers: Readers
    owners: list[Owner] = field(default_factory=list)
    gateways: list[GatewayPlan] = field(default_factory=list)  # without anything to send yet
    fleets: dict[str, FleetPlan] = field(default_factory=dict)
    done: list[Done] = field(default_factory=list)  # faults as they were made
    sent: int = 0
    unsettled: list[str] = field(default_factory=list)

    @property
    def gate(self) -> Path:
        """A file without which one of the bugs waits between its commit and its sending."""
        return self.directory / "gate"

    def note(self, what: str, target: str) -> None:
        """A fault was made just now."""
        self.done.append(Done(time.time(), what, target))

    async def start_ingest(self, name: str) -> None:
        """One process of ingest, with the world's bug if it has one."""
        rules, port = self.setting.rules, free_ports(1)[0]
        environment = self.stack.service_environment | {
            "MYMOTE_LOG_LEVEL": "DEBUG",
            "MYMOTE_INGEST_PORT": str(port),
            "MYMOTE_INGEST_QUOTA_DATA": str(rules.data),
            "MYMOTE_INGEST_QUOTA_NOTIFICATIONS": str(rules.notifications),
            "MYMOTE_INGEST_PARKED_PER_DAY": str(rules.parked),
        }
        bug, gate = self.setting.bug, str(self.gate)
        command = ("tests.ledger.sabotage", bug, gate) if bug else ("services.ingest",)
        await self.stack.start(name, command, environment)

    async def start_fleet(
        self, name: str, gateways: list[GatewayPlan], last_after: Path | None = None
    ) -> None:
        """A process of gateways that begins now to do what is planned for them."""
        settings = self.stack.settings
        plan = FleetPlan(
            origin=time.time() + 1.0,
            state=self.directory / "gateways",
            record=self.record(name),
            hub_host=settings.hostname,
            mqtt_port=settings.mqtt_port,
            mqtts_port=settings.mqtts_port,
            ca_file=Path(self.stack.endpoints.ca_file),
            gateways=gateways,
            last_after=last_after,
        )
        path = self.directory / f"{name}.json"
        path.write_text(plan.model_dump_json())
        self.fleets[name] = plan
        self.sent += sum(len(each.sends) for each in gateways)
        await self.stack.start(name, ("tests.ledger.fleet", str(path)), {})

    def record(self, fleet: str) -> Path:
        return self.directory / "records" / f"{fleet}.jsonl"

    def idle(self, fleet: str) -> bool:
        """Whether all its gateways sent everything and the hub has it."""
        return any(line["what"] == "idle" for line in fleet_lines(self.record(fleet)))

    def sends(self, device_id: str) -> bool:
        """Whether anything is planned for the gateway's app to send."""
        planned = (each for fleet in self.fleets.values() for each in fleet.gateways)
        return any(each.sends for each in planned if each.device_id == device_id)

    def has_message(self, device_id: str) -> bool:
        """Whether the hub has anything that the gateway's app sent."""
        records = [each for each in self.fleet_records() if each.device_id == device_id]
        stored = [each for each in records if isinstance(each, Stored)]
        of_app = {each.key for each in stored if each.kind != "management"}
        return any(isinstance(each, Taken) and each.key in of_app for each in records)

    def fleet_records(self) -> list[FleetRecord]:
        return [each for fleet in self.fleets for each in read_fleet(self.record(fleet))]

    async def evidence(self) -> Evidence:
        """Everything that was found; ingest has been stopped."""
        resources = self.platform.resources
        return Evidence(
            rules=self.setting.rules,
            sent=self.sent,
            fleet=self.fleet_records(),
            stream=await read(self.stack.endpoints.eventhub),
            received=list(self.readers.received.values()),
            changes=self.pairings.changes,
            documents=await read_documents(resources.azure.database),
            unsettled=self.unsettled,
        )


@asynccontextmanager
async def open_world(directory: Path, setting: Setting) -> AsyncIterator[World]:
    """Start and populate everything but the fleets."""
    stack = LocalStack.prepare(settings_on_free_ports(directory / "stack"))
    readers = Readers()
    try:
        await stack.start_azure(
            {
                "MYMOTE_EMULATOR_EVENT_HUB_CONSUMER_GROUPS": f'["{GROUP}"]',
                "MYMOTE_EMULATOR_FAULT_REPEATS": str(setting.repeats),
                "MYMOTE_EMULATOR_FAULT_LOST_PUBACKS": str(setting.lost_pubacks),
                "MYMOTE_EMULATOR_FAULT_SEED": str(setting.seed),
            }
        )
        await provision_database(stack)
        async with open_resources(api_settings(stack)) as resources:
            platform = Platform(stack, resources)
            pairings = Pairings(resources, setting.seed)
            world = World(directory, setting, stack, platform, pairings, readers)
            for name in setting.ingests:
                await world.start_ingest(name)
            await _populate(world)
            for name in setting.ingests:
                await stack.wait_ready(name)
            readers.start(world.owners)
            yield world
    finally:
        await readers.stop()
        await stack.stop()


async def _populate(world: World) -> None:
    slots = asyncio.Semaphore(MAKE_AT_ONCE)
    setting = world.setting

    async def owner() -> Owner:
        async with slots:
            return await world.platform.owner()

    async def gateway(number: int) -> GatewayPlan:
        async with slots:
            made = await world.platform.gateway()
            world.pairings.know(made.device_id, world.platform.keys[made.device_id])
            if number < setting.gateways - setting.unpaired:
                await world.pairings.give(made.device_id, world.owners[number % setting.accounts])
            return GatewayPlan(
                device_id=made.device_id,
                connection_string=made.connection_string,
                plain=number % 4 != 0,
                sends=[],
            )

    world.owners += await asyncio.gather(*(owner() for _ in range(setting.accounts)))
    world.gateways += await asyncio.gather(*(gateway(each) for each in range(setting.gateways)))
