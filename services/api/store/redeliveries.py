"""Container `stream`: orders to redeliver, and which accounts' queues refuse now."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceExistsError, CosmosResourceNotFoundError

from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.schemas.documents import Position, Redelivery


def order_id(message_id: str) -> str:
    """The order of a message; there is one at most."""
    return f"redelivery {message_id}"


@dataclass(frozen=True)
class Redeliveries:
    """Orders, each in the stream's partition of its message; ingest deletes what it carried out."""

    container: ContainerProxy

    async def exists(self, stream: str, message_id: str) -> bool:
        """A point read."""
        try:
            async with cosmos_call():
                await self.container.read_item(order_id(message_id), partition_key=stream)
        except CosmosResourceNotFoundError:
            return False
        return True

    async def create(self, order: Redelivery) -> bool:
        """False where it is there already."""
        try:
            async with cosmos_call():
                await self.container.create_item(order.model_dump(mode="json"))
        except CosmosResourceExistsError:
            return False
        return True

    async def positions(self) -> list[Position]:
        """Ingest's position in each partition of the stream: some dozens of documents."""
        query = "SELECT * FROM c WHERE c.kind = 'position'"
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(query)
            return [Position.model_validate(item) async for item in found]
