"""Container `uploads`: binaries that are on their way into Blob Storage, or out of it."""

from dataclasses import dataclass
from datetime import datetime

from azure.cosmos.aio import ContainerProxy

from services.ota.documents import Upload
from shared import point
from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.schemas.documents import sortable

PAGE = 100


@dataclass(frozen=True)
class Uploads:
    """Every call raises Unavailable."""

    container: ContainerProxy

    async def begin(self, upload: Upload) -> None:
        """Written before the first byte is; again, it begins anew."""
        async with cosmos_call():
            await self.container.upsert_item(upload.model_dump(mode="json"))

    async def done(self, upload_id: str) -> None:
        """Forget it; nothing happens where there is none."""
        await point.delete(self.container, upload_id, upload_id)

    async def unchanged_done(self, upload_id: str, etag: str) -> None:
        """Forget it, if it has not begun anew."""
        await point.delete_unchanged(self.container, upload_id, upload_id, etag)

    async def begun_before(self, moment: datetime) -> list[tuple[Upload, str]]:
        """The oldest ones, each with its ETag; at most `PAGE`. All partitions are asked."""
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(
                "SELECT * FROM c WHERE c.created_at < @moment ORDER BY c.created_at "
                "OFFSET 0 LIMIT @limit",
                parameters=[
                    {"name": "@moment", "value": sortable(moment)},
                    {"name": "@limit", "value": PAGE},
                ],
            )
            return [(Upload.model_validate(item), item["_etag"]) async for item in found]
