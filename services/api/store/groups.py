"""Container `groups`, one partition for each account."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from shared import point
from shared.cosmos import LIST_PAGE, LIST_SECONDS, cosmos_call
from shared.schemas.documents import GroupDocument


@dataclass(frozen=True)
class Groups:
    """The groups of accounts."""

    container: ContainerProxy

    async def get(self, user_id: str, group_id: str) -> GroupDocument | None:
        """A point read."""
        found = await self.get_with_etag(user_id, group_id)
        return found[0] if found else None

    async def get_with_etag(self, user_id: str, group_id: str) -> tuple[GroupDocument, str] | None:
        """A point read, with the ETag that `replace` and `delete` want."""
        return await point.read(self.container, GroupDocument, group_id, user_id)

    async def of_account(self, user_id: str) -> list[GroupDocument]:
        """All groups of one account, ordered by id."""
        query = "SELECT * FROM c ORDER BY c.id"
        async with cosmos_call(LIST_SECONDS):
            items = self.container.query_items(
                query, partition_key=user_id, max_item_count=LIST_PAGE
            )
            return [GroupDocument.model_validate(item) async for item in items]

    async def count(self, user_id: str) -> int:
        """How many groups an account has; answered from the index."""
        query = "SELECT VALUE COUNT(1) FROM c"
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(query, partition_key=user_id)
            # The SDK's annotation says that items are objects.
            return sum([int(str(value)) async for value in found])

    async def create(self, group: GroupDocument) -> bool:
        """False where a group of this id exists already."""
        return await point.create(self.container, group) is not None

    async def replace(self, group: GroupDocument, etag: str) -> str | None:
        """The new ETag; None where the group changed or went since it was read."""
        return await point.replace(self.container, group, etag)

    async def delete(self, user_id: str, group_id: str, etag: str) -> bool:
        """False where the group changed since it was read; one that went already is deleted."""
        return await point.delete_unchanged(self.container, group_id, user_id, etag)
