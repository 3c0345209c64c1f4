"""Container `firmware`, one partition for each type of gateway. The OTA service writes it."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from shared.cosmos import LIST_PAGE, LIST_SECONDS, cosmos_call
from shared.schemas.artifacts import FirmwareDocument


@dataclass(frozen=True)
class FirmwareVersions:
    """The platform's firmware: some dozens of documents, a few for each type of gateway."""

    container: ContainerProxy

    async def all(self, gateway_type: str = "") -> list[FirmwareDocument]:
        """Of one type of gateway, or of all, newest first."""
        async with cosmos_call(LIST_SECONDS):
            items = self.container.query_items(
                "SELECT * FROM c WHERE c.kind = 'firmware'",
                partition_key=gateway_type or None,
                max_item_count=LIST_PAGE,
            )
            found = [FirmwareDocument.model_validate(item) async for item in items]
        return sorted(found, key=lambda each: (each.created_at, each.id), reverse=True)

    async def get(self, firmware_id: str) -> FirmwareDocument | None:
        """By its id alone, which no two types share."""
        async with cosmos_call():
            items = self.container.query_items(
                "SELECT * FROM c WHERE c.id = @id AND c.kind = 'firmware'",
                parameters=[{"name": "@id", "value": firmware_id}],
            )
            found = [FirmwareDocument.model_validate(item) async for item in items]
        return found[0] if found else None
