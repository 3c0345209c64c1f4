"""Container `people`: those who sign in, one partition each."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from services.api.documents.people import PersonDocument
from shared import point


@dataclass(frozen=True)
class People:
    """Those who sign in, found by a hash of their username."""

    container: ContainerProxy

    async def get(self, person_id: str) -> tuple[PersonDocument, str] | None:
        """A point read, with the ETag that `put` and `delete` want."""
        return await point.read(self.container, PersonDocument, person_id, person_id)

    async def put(self, person: PersonDocument, etag: str | None) -> bool:
        """Create, or replace what has this ETag; False where somebody else did meanwhile."""
        return await point.put(self.container, person, etag)

    async def delete(self, person_id: str, etag: str) -> None:
        """Where it still has this ETag; else it is another's already, or gone."""
        await point.delete_unchanged(self.container, person_id, person_id, etag)
