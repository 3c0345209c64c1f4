"""Documents that are written once: notifications, the timeline, parked messages."""

import asyncio
from collections.abc import Sequence

from azure.cosmos.aio import ContainerProxy, DatabaseProxy
from azure.cosmos.exceptions import CosmosResourceExistsError
from pydantic import BaseModel

from services.ingest.store.retry import persistently
from shared.database import NOTIFICATIONS, PARKED, TIMELINE
from shared.schemas.documents import Notification, ParkedMessage, TimelineEntry


class RecordStore:
    """Creates under deterministic ids; what exists already is from an earlier attempt."""

    def __init__(self, database: DatabaseProxy, slots: asyncio.Semaphore) -> None:
        self._notifications = database.get_container_client(NOTIFICATIONS.name)
        self._timeline = database.get_container_client(TIMELINE.name)
        self._parked = database.get_container_client(PARKED.name)
        self._slots = slots

    async def create(
        self,
        notifications: Sequence[Notification],
        timeline: Sequence[TimelineEntry],
        parked: Sequence[ParkedMessage],
    ) -> None:
        """Create all of them, a few at a time."""
        async with asyncio.TaskGroup() as tasks:
            for container, documents in (
                (self._notifications, notifications),
                (self._timeline, timeline),
                (self._parked, parked),
            ):
                for document in documents:
                    tasks.create_task(self._create(container, document))

    async def _create(self, container: ContainerProxy, document: BaseModel) -> None:
        body = document.model_dump(mode="json")

        async def create() -> None:
            try:
                await container.create_item(body)
            except CosmosResourceExistsError:
                return

        async with self._slots:
            await persistently(f"write to {container.id}", create)
