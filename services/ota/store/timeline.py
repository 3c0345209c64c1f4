"""Container `timeline`, one partition for each device: what happened to it."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from shared import point
from shared.schemas.documents import TimelineEntry


@dataclass(frozen=True)
class Timeline:
    """Writes only. Raises Unavailable."""

    container: ContainerProxy

    async def add(self, entry: TimelineEntry) -> None:
        """Write an entry once: one that is there under this id stays as it is."""
        await point.create(self.container, entry)
