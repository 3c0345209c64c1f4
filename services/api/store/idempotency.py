"""Container `idempotency`: what was answered to an Idempotency-Key."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from services.api.documents.idempotency import IdempotencyRecord
from shared import point


@dataclass(frozen=True)
class Idempotency:
    """One partition for each account; everything is a point operation."""

    container: ContainerProxy

    async def get(self, user_id: str, record_id: str) -> tuple[IdempotencyRecord, str] | None:
        """With the ETag that `replace` and `delete` want."""
        return await point.read(self.container, IdempotencyRecord, record_id, user_id)

    async def create(self, record: IdempotencyRecord) -> str | None:
        """Its ETag; None where there is one already."""
        return await point.create(self.container, record)

    async def replace(self, record: IdempotencyRecord, etag: str) -> str | None:
        """Its new ETag; None where it changed or went meanwhile."""
        return await point.replace(self.container, record, etag)

    async def delete(self, record: IdempotencyRecord, etag: str) -> None:
        """Nothing where it changed or went meanwhile."""
        await point.delete_unchanged(self.container, record.id, record.user_id, etag)
