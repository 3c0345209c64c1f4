"""Container `gateways`: the truth about who owns a gateway when."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from shared import point
from shared.schemas.documents import Gateway


@dataclass(frozen=True)
class Gateways:
    """Reads only. Raises Unavailable."""

    container: ContainerProxy

    async def get(self, device_id: str) -> Gateway | None:
        """A point read."""
        found = await point.read(self.container, Gateway, device_id, device_id)
        return found[0] if found else None
