"""Container `devices`: the paired gateways, one partition for each account."""

from dataclasses import dataclass
from datetime import datetime

from azure.cosmos.aio import ContainerProxy

from services.api.store.device_pages import DeviceFilter, DevicesPage, read_device_page
from shared import point
from shared.cosmos import LIST_PAGE, LIST_SECONDS, cosmos_call
from shared.schemas.documents import DeviceDocument


@dataclass(frozen=True)
class Devices:
    """An account's view of its gateways."""

    container: ContainerProxy

    async def get(self, user_id: str, device_id: str) -> DeviceDocument | None:
        """A point read."""
        found = await self.get_with_etag(user_id, device_id)
        return found[0] if found else None

    async def get_with_etag(
        self, user_id: str, device_id: str
    ) -> tuple[DeviceDocument, str] | None:
        """A point read, with the ETag that `put` wants."""
        return await point.read(self.container, DeviceDocument, device_id, user_id)

    async def of_account(self, user_id: str) -> list[DeviceDocument]:
        """All devices of one account, ordered by id."""
        return await self._query("SELECT * FROM c ORDER BY c.id", user_id, [])

    async def of_group(self, user_id: str, group_id: str) -> list[DeviceDocument]:
        """The devices of one group, ordered by id."""
        query = "SELECT * FROM c WHERE c.group_id = @group ORDER BY c.id"
        return await self._query(query, user_id, [{"name": "@group", "value": group_id}])

    async def ids_of_group(self, user_id: str, group_id: str) -> list[str]:
        """The device ids of one group, ordered."""
        query = "SELECT VALUE c.device_id FROM c WHERE c.group_id = @group"
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(
                query,
                parameters=[{"name": "@group", "value": group_id}],
                partition_key=user_id,
                max_item_count=LIST_PAGE,
            )
            return sorted([str(each) async for each in found])

    async def page(
        self, user_id: str, wanted: DeviceFilter, limit: int, cursor: str = ""
    ) -> DevicesPage:
        """At most `limit`. Raises InvalidRequest for a cursor of another list."""
        return await read_device_page(self.container, user_id, wanted, limit, cursor)

    async def count(self, user_id: str) -> int:
        """How many entries an account has; answered from the index."""
        found = self.container.query_items("SELECT VALUE COUNT(1) FROM c", partition_key=user_id)
        async with cosmos_call(LIST_SECONDS):
            # The SDK's annotation says that items are objects.
            return sum([int(str(value)) async for value in found])

    async def put(self, device: DeviceDocument, etag: str | None = None) -> bool:
        """Create, or replace what has this ETag; False where somebody else did meanwhile."""
        return await point.put(self.container, device, etag)

    async def delete(self, user_id: str, device_id: str, *, paired_at: datetime) -> None:
        """Remove the device of one pairing; a later pairing's stays."""
        while True:
            found = await self.get_with_etag(user_id, device_id)
            if found is None or found[0].paired_at != paired_at:
                return
            if await point.delete_unchanged(self.container, device_id, user_id, found[1]):
                return
            # ingest changed its state in between

    async def _query(
        self, query: str, user_id: str, parameters: list[dict[str, object]]
    ) -> list[DeviceDocument]:
        async with cosmos_call(LIST_SECONDS):
            items = self.container.query_items(
                query, parameters=parameters, partition_key=user_id, max_item_count=LIST_PAGE
            )
            return [DeviceDocument.model_validate(item) async for item in items]
