"""Container `timeline`, one partition for each device: what happened to it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceExistsError

from services.api.store.deletion import delete_where
from services.api.store.keyset import Keyset, keyset_query
from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.schemas.documents import TimelineEntry


@dataclass(frozen=True)
class Timeline:
    """What happened to a device, for the account that had it then."""

    container: ContainerProxy

    async def add(self, entry: TimelineEntry) -> None:
        """Write an entry once: one that is there under this id stays as it is."""
        try:
            async with cosmos_call():
                await self.container.create_item(entry.model_dump(mode="json"))
        except CosmosResourceExistsError:
            return

    async def newest(
        self, user_id: str, device_id: str, event: str | None, keyset: Keyset
    ) -> list[TimelineEntry]:
        """An account's entries of a device, newest first; of one kind of event, or of all."""
        conditions = ["c.device_id = @device", "c.user_id = @user"]
        values: dict[str, object] = {"@device": device_id, "@user": user_id}
        if event is not None:
            conditions.append("c.event = @event")
            values["@event"] = event
        query, parameters = keyset_query(("device_id",), conditions, values, keyset)
        return [
            TimelineEntry.model_validate(item)
            for item in await self._query(query, parameters, device_id)
        ]

    async def delete_of(self, user_id: str, device_id: str) -> int:
        """Delete all of an account's entries of a device; returns how many there were.

        Calling again completes what was interrupted.
        """
        return await delete_where(
            self.container, "c.user_id = @user", {"@user": user_id}, device_id
        )

    async def _query(
        self, query: str, parameters: list[dict[str, object]], device_id: str
    ) -> list[Mapping[str, Any]]:
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(
                query, parameters=parameters, partition_key=device_id
            )
            return [item async for item in found]
