"""Container `gateways`: the inventory, and the truth about who owns a gateway when."""

from dataclasses import dataclass

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from services.api.store.feed import read_feed
from shared.cosmos import cosmos_call
from shared.schemas.documents import Gateway


@dataclass(frozen=True)
class GatewayPage:
    """Some gateways, and the cursor of the next page; "" after the last."""

    gateways: list[Gateway]
    next: str


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

    async def page(self, limit: int, cursor: str = "") -> GatewayPage:
        """The inventory as the database keeps it, for the platform's operator; costs what the
        page holds.

        Raises InvalidRequest for a cursor that no page gave.
        """
        page = await read_feed(self.container, limit=limit, cursor=cursor)
        return GatewayPage([Gateway.model_validate(item) for item in page.items], page.next)
