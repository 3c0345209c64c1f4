"""Container `attempts`: how often something was tried in vain."""

from dataclasses import dataclass

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from services.api.documents.attempts import AttemptCount
from shared.cosmos import cosmos_call


@dataclass(frozen=True)
class Attempts:
    """How often something was tried in vain; each count is a partition of its own."""

    container: ContainerProxy

    async def get(self, name: str) -> tuple[AttemptCount, str] | None:
        """A point read, with the ETag that `put` wants."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(name, partition_key=name)
        except CosmosResourceNotFoundError:
            return None
        return AttemptCount.model_validate(item), item["_etag"]

    async def put(self, count: AttemptCount, etag: str | None) -> bool:
        """Create, or replace what has this ETag; False where somebody else did meanwhile."""
        body = count.model_dump(mode="json")
        try:
            async with cosmos_call():
                if etag is None:
                    await self.container.create_item(body)
                else:
                    await self.container.replace_item(
                        count.id, body, etag=etag, match_condition=MatchConditions.IfNotModified
                    )
        except (
            CosmosResourceExistsError,
            CosmosResourceNotFoundError,
            CosmosAccessConditionFailedError,
        ):
            return False
        return True

    async def delete(self, name: str) -> None:
        """Forget it; nothing happens where there is none."""
        try:
            async with cosmos_call():
                await self.container.delete_item(name, partition_key=name)
        except CosmosResourceNotFoundError:
            return
