"""What the api opens when it starts and closes when it stops."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.api.settings import ApiSettings
from services.api.store.accounts import Accounts
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from services.api.store.groups import Groups
from services.api.store.ledgers import Ledgers
from services.api.store.parked import Parked
from services.api.store.redeliveries import Redeliveries
from shared.clients import AzureClients, open_azure
from shared.database import ACCOUNTS, DEVICES, GATEWAYS, GROUPS, PARKED, STREAM
from shared.iothub import IotHub, open_iot_hub


@dataclass(frozen=True)
class Resources:
    """Stores and the hub, each safe for use by many requests at once."""

    settings: ApiSettings
    azure: AzureClients
    accounts: Accounts
    groups: Groups
    gateways: Gateways
    devices: Devices
    ledgers: Ledgers
    parked: Parked
    redeliveries: Redeliveries
    hub: IotHub


@asynccontextmanager
async def open_resources(settings: ApiSettings) -> AsyncIterator[Resources]:
    """Nothing is connected yet: each client connects at its first use."""
    async with open_azure(settings) as azure, open_iot_hub(azure) as hub:
        database = azure.database
        yield Resources(
            settings=settings,
            azure=azure,
            accounts=Accounts(database.get_container_client(ACCOUNTS.name)),
            groups=Groups(database.get_container_client(GROUPS.name)),
            gateways=Gateways(database.get_container_client(GATEWAYS.name)),
            devices=Devices(database.get_container_client(DEVICES.name)),
            ledgers=Ledgers(database.get_container_client(STREAM.name)),
            parked=Parked(database.get_container_client(PARKED.name)),
            redeliveries=Redeliveries(database.get_container_client(STREAM.name)),
            hub=hub,
        )
