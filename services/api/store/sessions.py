"""Container `sessions`: who is signed in, one partition for each account."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from services.api.documents.sessions import Session
from services.api.store.pages import read_page
from shared import point
from shared.cosmos import LIST_PAGE, LIST_SECONDS, cosmos_call


@dataclass(frozen=True)
class SessionPage:
    """Some sessions, newest first, and the cursor of the next page; "" after the last."""

    items: list[Session]
    next: str


@dataclass(frozen=True)
class Sessions:
    """Who is signed in. What has ended by time is gone by itself."""

    container: ContainerProxy

    async def get(self, user_id: str, session_id: str) -> tuple[Session, str] | None:
        """A point read, with the ETag that `replace` wants."""
        return await point.read(self.container, Session, session_id, user_id)

    async def create(self, session: Session) -> None:
        """A new one; ids are random."""
        await point.create(self.container, session)

    async def replace(self, session: Session, etag: str) -> bool:
        """False where it changed or ended since it was read; what has ended stays so."""
        return await point.replace(self.container, session, etag) is not None

    async def delete(self, user_id: str, session_id: str) -> bool:
        """False where there is none."""
        return await point.delete(self.container, session_id, user_id)

    async def of_person(self, user_id: str, person_id: str) -> list[Session]:
        """All of a person's, the oldest first."""
        query = "SELECT * FROM c WHERE c.person_id = @person ORDER BY c.created_at"
        async with cosmos_call(LIST_SECONDS):
            items = self.container.query_items(
                query,
                parameters=[{"name": "@person", "value": person_id}],
                partition_key=user_id,
                max_item_count=LIST_PAGE,
            )
            return [Session.model_validate(item) async for item in items]

    async def page(self, user_id: str, person_id: str, limit: int, cursor: str) -> SessionPage:
        """The account's, or one person's; newest first. Raises InvalidRequest for its cursor."""
        where = "WHERE c.person_id = @person " if person_id else ""
        parameters = {"@person": person_id} if person_id else {}
        page = await read_page(
            self.container,
            f"SELECT * FROM c {where}ORDER BY c.created_at DESC",  # noqa: S608 - no value in it
            parameters,
            user_id,
            limit=limit,
            cursor=cursor,
        )
        return SessionPage([Session.model_validate(item) for item in page.items], page.next)
