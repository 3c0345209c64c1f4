"""What the OTA service opens when it starts and closes when it stops."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.ota.settings import OtaSettings
from shared.clients import AzureClients, open_azure
from shared.iothub import IotHub, open_iot_hub


@dataclass(frozen=True)
class Resources:
    """Stores and the hub, each safe for use by many requests at once."""

    settings: OtaSettings
    azure: AzureClients
    hub: IotHub


@asynccontextmanager
async def open_resources(settings: OtaSettings) -> AsyncIterator[Resources]:
    """Nothing is connected yet: each client connects at its first use."""
    async with open_azure(settings) as azure, open_iot_hub(azure) as hub:
        yield Resources(settings, azure, hub)
