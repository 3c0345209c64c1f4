"""Container `audit`: the OTA service adds what it refused."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from shared import point
from shared.schemas.audit import AuditRecord


@dataclass(frozen=True)
class Audit:
    """Records are written once and never changed."""

    container: ContainerProxy

    async def add(self, record: AuditRecord) -> None:
        """Its id is its own. Raises Unavailable."""
        await point.create(self.container, record)
