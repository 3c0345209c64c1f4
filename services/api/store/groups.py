"""Container `groups`, one partition for each account."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceExistsError, CosmosResourceNotFoundError

from services.api.store.cosmos import LIST_PAGE, LIST_SECONDS, cosmos_call
from shared.schemas.documents import GroupDocument


@dataclass(frozen=True)
class Groups:
    """The groups of accounts."""

    container: ContainerProxy

    async def get(self, user_id: str, group_id: str) -> GroupDocument | None:
        """A point read."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(group_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return None
        return GroupDocument.model_validate(item)

    async def of_account(self, user_id: str) -> list[GroupDocument]:
        """All groups of one account, ordered by id."""
        query = "SELECT * FROM c ORDER BY c.id"
        async with cosmos_call(LIST_SECONDS):
            items = self.container.query_items(
                query, partition_key=user_id, max_item_count=LIST_PAGE
            )
            return [GroupDocument.model_validate(item) async for item in items]

    async def create(self, group: GroupDocument) -> bool:
        """False where a group of this id exists already."""
        try:
            async with cosmos_call():
                await self.container.create_item(group.model_dump(mode="json"))
        except CosmosResourceExistsError:
            return False
        return True
