"""Container `idempotency`: what was answered to an Idempotency-Key."""

from dataclasses import dataclass

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from services.api.documents.idempotency import IdempotencyRecord
from shared.cosmos import cosmos_call


@dataclass(frozen=True)
class Idempotency:
    """One partition for each account; everything is a point operation."""

    container: ContainerProxy

    async def get(self, user_id: str, record_id: str) -> tuple[IdempotencyRecord, str] | None:
        """With the ETag that `replace` and `delete` want."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(record_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return None
        return IdempotencyRecord.model_validate(item), item["_etag"]

    async def create(self, record: IdempotencyRecord) -> str | None:
        """Its ETag; None where there is one already."""
        try:
            async with cosmos_call():
                item = await self.container.create_item(record.model_dump(mode="json"))
        except CosmosResourceExistsError:
            return None
        return str(item["_etag"])

    async def replace(self, record: IdempotencyRecord, etag: str) -> str | None:
        """Its new ETag; None where it changed or went meanwhile."""
        try:
            async with cosmos_call():
                item = await self.container.replace_item(
                    record.id,
                    record.model_dump(mode="json"),
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (CosmosResourceNotFoundError, CosmosAccessConditionFailedError):
            return None
        return str(item["_etag"])

    async def delete(self, record: IdempotencyRecord, etag: str) -> None:
        """Nothing where it changed or went meanwhile."""
        try:
            async with cosmos_call():
                await self.container.delete_item(
                    record.id,
                    record.user_id,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (CosmosResourceNotFoundError, CosmosAccessConditionFailedError):
            return
