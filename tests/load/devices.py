"""Very many devices as their accounts see them, and what reading pages of them costs."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count, islice

from azure.cosmos.aio import ContainerProxy

from services.api.resources import Resources
from services.api.store.device_pages import DeviceFilter
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import DeviceDocument

IN_A_BATCH = 100  # operations in one transaction of Cosmos DB
AT_ONCE = 4
PAGE = 50
GROUPS = 20
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)

Say = Callable[[str], None]


@dataclass(frozen=True)
class Page:
    """A page of the list of devices, as it is asked for."""

    name: str
    meaning: str
    wanted: DeviceFilter
    cursor: str = ""


async def load_devices(
    resources: Resources, user_id: str, number: int, say: Say | None = None
) -> None:
    """Give an account devices, as pairing leaves them and ingest keeps them."""
    container = resources.devices.container
    batches = _batches(_devices(user_id, number))
    done = count(IN_A_BATCH, IN_A_BATCH)

    async def write() -> None:
        for batch in batches:
            operations = [("create", (each.model_dump(mode="json"),)) for each in batch]
            await container.execute_item_batch(operations, user_id)
            loaded = next(done)
            if say and loaded % 10_000 == 0:
                say(f"{loaded:,} devices")

    async with asyncio.TaskGroup() as writers:
        for _ in range(AT_ONCE):
            writers.create_task(write())


async def pages_of(resources: Resources, user_id: str, number: int) -> list[Page]:
    """The pages that are measured, of an account with `number` devices."""
    everything = DeviceFilter()
    middle = ""
    for _ in range(number // 2 // PAGE):
        middle = (await resources.devices.page(user_id, everything, PAGE, middle)).next
    connected = replace(everything, status=ConnectionState.CONNECTED, group_id="g3")
    rare = replace(everything, search=f"pump {number // 2:06}")
    return [
        Page("first", "the first page by name", everything),
        Page("middle", "the page in the middle of the list", everything, middle),
        Page("filtered", "those connected, of one group in twenty", connected),
        Page("searched", "a word that half of the devices have", replace(everything, search="SOU")),
        Page("rare", "a word that one device has: all of the account's are read", rare),
    ]


async def charge_of(resources: Resources, user_id: str, page: Page) -> float:
    """Request units of reading it once."""
    found = await resources.devices.page(user_id, page.wanted, PAGE, page.cursor)
    assert found.items, page.name
    return last_charge(resources.devices.container)


def last_charge(container: ContainerProxy) -> float:
    """Request units of the last call, of any container of this client."""
    return float(container.client_connection.last_response_headers["x-ms-request-charge"])


def _batches(devices: Iterator[DeviceDocument]) -> Iterator[list[DeviceDocument]]:
    while batch := list(islice(devices, IN_A_BATCH)):
        yield batch


def _devices(user_id: str, number: int) -> Iterator[DeviceDocument]:
    for n in range(number):
        key = hashlib.sha256(f"{user_id} {n}".encode()).hexdigest()
        device_id = f"X400_{hashlib.sha1(key.encode(), usedforsecurity=False).hexdigest()}"
        yield DeviceDocument(
            id=device_id,
            device_id=device_id,
            user_id=user_id,
            device_key=key,
            group_id=f"g{n % GROUPS}",
            name=f"Pump {n:06} {'North' if n % 2 == 0 else 'South'}",
            type="X400",
            location="41.890210,12.492231",
            connectivity="LTE",
            fwversion=f"2.{n % 3}.0",
            app_name="meter",
            app_version=f"1.{n % 5}.0",
            stat_device_id=f"mymote:{n % 4}:{device_id}",
            ICCID=f"8939{n:015}",
            status=ConnectionState.CONNECTED if n % 3 else ConnectionState.DISCONNECTED,
            paired_at=BEGAN + timedelta(minutes=n),
        )
