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

    async def begin(self, upload: Upload) -> str:
        """Written before the first byte is; again, it begins anew. Returns its ETag."""
        async with cosmos_call():
            item = await self.container.upsert_item(upload.model_dump(mode="json"))
        return str(item["_etag"])

    async def done(self, upload_id: str) -> None:
        """Forget it, when its blob is gone; nothing happens where there is none."""
        await point.delete(self.container, upload_id, upload_id)

    async def unchanged_done(self, upload_id: str, etag: str) -> None:
        """Forget it, if it has not begun anew."""
        await point.delete_unchanged(self.container, upload_id, upload_id, etag)

    async def begun_before(self, upload: datetime, deletion: datetime) -> list[tuple[Upload, str]]:
        """The oldest ones, begun before the moment for their kind, each with its ETag.

        At most `PAGE`. All partitions are asked.
        """
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(
                "SELECT * FROM c WHERE c.created_at < @upload "
                "OR (c.deletion = true AND c.created_at < @deletion) ORDER BY c.created_at "
                "OFFSET 0 LIMIT @limit",
                parameters=[
                    {"name": "@upload", "value": sortable(upload)},
                    {"name": "@deletion", "value": sortable(deletion)},
                    {"name": "@limit", "value": PAGE},
                ],
            )
            return [(Upload.model_validate(item), item["_etag"]) async for item in found]
