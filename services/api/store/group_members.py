"""Which devices are in a group, or about to be: queries of one account's partition of `devices`."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from shared.cosmos import LIST_SECONDS, cosmos_call


@dataclass(frozen=True)
class GroupMembers:
    """Each query costs what it gives."""

    container: ContainerProxy

    async def inside(self, user_id: str, group_id: str, limit: int) -> list[str]:
        """The ids of at most `limit` devices that are in the group."""
        return await self._ids("c.group_id = @group", user_id, group_id, limit)

    async def joining(self, user_id: str, group_id: str, limit: int) -> list[str]:
        """The ids of at most `limit` devices that are being put into the group, or were when
        that was interrupted."""
        return await self._ids("c.joining = @group", user_id, group_id, limit)

    async def unsettled(self, user_id: str, group_id: str, limit: int) -> list[str]:
        """Of the devices in the group, those whose pairing or unpairing is under way."""
        condition = "c.group_id = @group AND c.phase != 'paired'"
        return await self._ids(condition, user_id, group_id, limit)

    async def count(self, user_id: str, group_id: str) -> int:
        """How many devices are in the group; answered from the index."""
        query = "SELECT VALUE COUNT(1) FROM c WHERE c.group_id = @group"
        found = self.container.query_items(
            query, parameters=[{"name": "@group", "value": group_id}], partition_key=user_id
        )
        async with cosmos_call(LIST_SECONDS):
            # The SDK's annotation says that items are objects.
            return sum([int(str(value)) async for value in found])

    async def _ids(self, condition: str, user_id: str, group_id: str, limit: int) -> list[str]:
        found = self.container.query_items(
            f"SELECT TOP {limit} c.id FROM c WHERE {condition}",  # noqa: S608
            parameters=[{"name": "@group", "value": group_id}],
            partition_key=user_id,
            max_item_count=limit,
        )
        async with cosmos_call(LIST_SECONDS):
            return [str(item["id"]) async for item in found]
