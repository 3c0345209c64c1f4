"""Container `attempts`: how often something was tried in vain."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from services.api.documents.attempts import AttemptCount
from shared import point


@dataclass(frozen=True)
class Attempts:
    """How often something was tried in vain; each count is a partition of its own."""

    container: ContainerProxy

    async def get(self, name: str) -> tuple[AttemptCount, str] | None:
        """A point read, with the ETag that `put` wants."""
        return await point.read(self.container, AttemptCount, name, name)

    async def put(self, count: AttemptCount, etag: str | None) -> bool:
        """Create, or replace what has this ETag; False where somebody else did meanwhile."""
        return await point.put(self.container, count, etag)

    async def delete(self, name: str) -> None:
        """Forget it; nothing happens where there is none."""
        await point.delete(self.container, name, name)
