"""Container `groups`, one partition for each account."""

from dataclasses import dataclass

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

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
        try:
            async with cosmos_call():
                item = await self.container.read_item(group_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return None
        return GroupDocument.model_validate(item), item["_etag"]

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
        try:
            async with cosmos_call():
                await self.container.create_item(group.model_dump(mode="json"))
        except CosmosResourceExistsError:
            return False
        return True

    async def replace(self, group: GroupDocument, etag: str) -> str | None:
        """The new ETag; None where the group changed or went since it was read."""
        try:
            async with cosmos_call():
                item = await self.container.replace_item(
                    group.id,
                    group.model_dump(mode="json"),
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (CosmosResourceNotFoundError, CosmosAccessConditionFailedError):
            return None
        return str(item["_etag"])

    async def delete(self, user_id: str, group_id: str, etag: str) -> bool:
        """False where the group changed since it was read; one that went already is deleted."""
        try:
            async with cosmos_call():
                await self.container.delete_item(
                    group_id,
                    partition_key=user_id,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except CosmosResourceNotFoundError:
            return True
        except CosmosAccessConditionFailedError:
            return False
        return True
