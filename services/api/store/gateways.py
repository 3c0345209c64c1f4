"""Container `gateways`: the inventory, and the truth about who owns a gateway when."""

from dataclasses import dataclass

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from services.api.store.cosmos import LIST_PAGE, LIST_SECONDS, cosmos_call
from shared.schemas.documents import Gateway


@dataclass(frozen=True)
class Gateways:
    """Each gateway is a partition of one document, changed under its ETag only."""

    container: ContainerProxy

    async def get(self, device_id: str) -> tuple[Gateway, str] | None:
        """A point read: the gateway and the ETag that `replace` wants."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(device_id, partition_key=device_id)
        except CosmosResourceNotFoundError:
            return None
        return Gateway.model_validate(item), item["_etag"]

    async def create(self, gateway: Gateway) -> bool:
        """False where the gateway is in the inventory already."""
        try:
            async with cosmos_call():
                await self.container.create_item(gateway.model_dump(mode="json"))
        except CosmosResourceExistsError:
            return False
        return True

    async def replace(self, gateway: Gateway, etag: str) -> bool:
        """False where the gateway changed since it was read."""
        try:
            async with cosmos_call():
                await self.container.replace_item(
                    gateway.id,
                    gateway.model_dump(mode="json"),
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except CosmosAccessConditionFailedError:
            return False
        return True

    async def all(self) -> list[Gateway]:
        """The whole inventory, ordered by device id, for the platform's operator."""
        async with cosmos_call(LIST_SECONDS):
            items = [item async for item in self.container.read_all_items(max_item_count=LIST_PAGE)]
        return sorted((Gateway.model_validate(item) for item in items), key=lambda g: g.id)
