"""Container `gateways`: the inventory, and the truth about who owns a gateway when."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from services.api.store.feed import read_feed
from shared import point
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
        return await point.read(self.container, Gateway, device_id, device_id)

    async def create(self, gateway: Gateway) -> bool:
        """False where the gateway is in the inventory already."""
        return await point.create(self.container, gateway) is not None

    async def replace(self, gateway: Gateway, etag: str) -> bool:
        """False where the gateway changed since it was read."""
        return await point.replace(self.container, gateway, etag) is not None

    async def page(self, limit: int, cursor: str = "") -> GatewayPage:
        """The inventory as the database keeps it, for the platform's operator; costs what the
        page holds.

        Raises InvalidRequest for a cursor that no page gave.
        """
        page = await read_feed(self.container, limit=limit, cursor=cursor)
        return GatewayPage([Gateway.model_validate(item) for item in page.items], page.next)
