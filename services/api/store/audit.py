"""Container `audit`: who did what, one partition for each account."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from services.api.store.pages import read_page
from shared.cosmos import cosmos_call
from shared.schemas.audit import AuditRecord


@dataclass(frozen=True)
class AuditPage:
    """Some records, newest first, and the cursor of the next page; "" after the last."""

    items: list[AuditRecord]
    next: str


@dataclass(frozen=True)
class Audit:
    """Records are written once and never changed; they go when they are old enough."""

    container: ContainerProxy

    async def add(self, record: AuditRecord) -> None:
        """Its id is its own."""
        async with cosmos_call():
            await self.container.create_item(record.model_dump(mode="json"))

    async def page(
        self, user_id: str, where: dict[str, tuple[str, object]], limit: int, cursor: str
    ) -> AuditPage:
        """Newest first. `where`: by parameter, a condition that names it, and its value.

        Raises InvalidRequest for a cursor of another list.
        """
        conditions = " AND ".join(condition for condition, _ in where.values())
        filters = f"WHERE {conditions} " if conditions else ""
        page = await read_page(
            self.container,
            f"SELECT * FROM c {filters}ORDER BY c.at DESC",  # noqa: S608 - values are parameters
            {name: value for name, (_, value) in where.items()},
            user_id,
            limit=limit,
            cursor=cursor,
        )
        return AuditPage([AuditRecord.model_validate(item) for item in page.items], page.next)
