"""Container `stream`: what ingest counts. The api only reads it."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from shared.cosmos import cosmos_call
from shared.schemas.documents import Ledger


@dataclass(frozen=True)
class Ledgers:
    """One ledger for each device and partition of the stream."""

    container: ContainerProxy

    async def get(self, stat_device_id: str) -> Ledger | None:
        """The ledger at `{event hub}:{partition}:{device_id}`; None for "" and where none is."""
        try:
            event_hub, partition, device_id = stat_device_id.rsplit(":", 2)
        except ValueError:
            return None
        try:
            async with cosmos_call():
                item = await self.container.read_item(
                    device_id, partition_key=f"{event_hub}/{partition}"
                )
        except CosmosResourceNotFoundError:
            return None
        return Ledger.model_validate(item)
