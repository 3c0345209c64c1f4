"""Container `people`: those who sign in, one partition each."""

from dataclasses import dataclass

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from services.api.documents.people import PersonDocument
from shared.cosmos import cosmos_call


@dataclass(frozen=True)
class People:
    """Those who sign in, found by a hash of their username."""

    container: ContainerProxy

    async def get(self, person_id: str) -> tuple[PersonDocument, str] | None:
        """A point read, with the ETag that `put` and `delete` want."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(person_id, partition_key=person_id)
        except CosmosResourceNotFoundError:
            return None
        return PersonDocument.model_validate(item), item["_etag"]

    async def put(self, person: PersonDocument, etag: str | None) -> bool:
        """Create, or replace what has this ETag; False where somebody else did meanwhile."""
        body = person.model_dump(mode="json")
        try:
            async with cosmos_call():
                if etag is None:
                    await self.container.create_item(body)
                else:
                    await self.container.replace_item(
                        person.id, body, etag=etag, match_condition=MatchConditions.IfNotModified
                    )
        except (
            CosmosResourceExistsError,
            CosmosResourceNotFoundError,
            CosmosAccessConditionFailedError,
        ):
            return False
        return True

    async def delete(self, person_id: str, etag: str) -> None:
        """Where it still has this ETag; else it is another's already, or gone."""
        try:
            async with cosmos_call():
                await self.container.delete_item(
                    person_id,
                    partition_key=person_id,
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
            return
