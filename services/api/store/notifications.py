"""Container `notifications`, one partition for each account."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosResourceNotFoundError,
)

from services.api.store.keyset import Keyset, Place
from services.api.store.notification_query import Filter, Query, count_query, page_queries
from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.schemas.documents import Notification, sortable

MAX_BATCH = 100  # operations in one transaction of Cosmos DB
# Not there any more, or changed meanwhile; the transaction's other operations answer 424.
MOVED_ON = (404, 412)


@dataclass(frozen=True)
class Stored:
    """A notification as it was read, with the ETag under which it is changed."""

    notification: Notification
    etag: str

    @property
    def place(self) -> Place:
        """In the order of lists."""
        return Place(self.notification.enqueued_at, self.notification.id)


@dataclass(frozen=True)
class Change:
    """What people do with a notification: its new state, when, by whom, and how long it stays."""

    state: str
    at: datetime
    by: str
    ttl: int  # seconds from now, since a change alone would begin the container's anew

    @property
    def operations(self) -> list[dict[str, Any]]:
        return [
            {"op": "set", "path": "/state", "value": self.state},
            {"op": "set", "path": "/state_at", "value": sortable(self.at)},
            {"op": "set", "path": "/state_by", "value": self.by},
            {"op": "set", "path": "/ttl", "value": self.ttl},
        ]


@dataclass(frozen=True)
class Notifications:
    """Every call stays within one partition."""

    container: ContainerProxy

    async def get(self, user_id: str, notification_id: str) -> Stored | None:
        """A point read."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(notification_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return None
        return _stored(item)

    async def get_many(self, user_id: str, ids: Sequence[str]) -> list[Stored]:
        """Those of the ids that are there."""
        async with cosmos_call(LIST_SECONDS):
            items = await self.container.read_items([(each, user_id) for each in ids])
        return [_stored(item) for item in items]

    async def page(
        self, user_id: str, wanted: Filter, limit: int, behind: Place | None = None
    ) -> list[Stored]:
        """At most `limit`, newest first, behind a place in that order."""
        keyset = Keyset(limit, behind, wanted.since, wanted.until)
        queries = page_queries(user_id, wanted, keyset)
        parts = await asyncio.gather(*(self._read(user_id, query) for query in queries))
        found = sorted(chain(*parts), key=lambda each: each.place.key, reverse=True)
        return found[:limit]

    async def newest_of_device(
        self, user_id: str, device_id: str, keyset: Keyset
    ) -> list[Notification]:
        """One device's, newest first, behind a place in the order."""
        (query,) = page_queries(user_id, Filter(device_id=device_id), keyset)
        return [each.notification for each in await self._read(user_id, query)]

    async def count(self, user_id: str, wanted: Filter) -> int:
        """How many there are; answered from the index."""
        query, parameters = count_query(user_id, wanted)
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(query, parameters=parameters, partition_key=user_id)
            # The SDK's annotation says that items are objects.
            return sum([int(str(value)) async for value in found])

    async def change(self, stored: Stored, change: Change) -> bool:
        """False where it changed or went since it was read."""
        notification = stored.notification
        try:
            async with cosmos_call():
                await self.container.patch_item(
                    notification.id,
                    notification.user_id,
                    change.operations,
                    etag=stored.etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except (CosmosResourceNotFoundError, CosmosAccessConditionFailedError):
            return False
        return True

    async def change_together(self, changes: Sequence[tuple[Stored, Change]]) -> bool:
        """All of them, of one account, or none: False where one changed or went meanwhile.

        At most MAX_BATCH.
        """
        operations = [
            ("patch", (stored.notification.id, change.operations), {"if_match_etag": stored.etag})
            for stored, change in changes
        ]
        user_id = changes[0][0].notification.user_id
        async with cosmos_call():
            try:
                await self.container.execute_item_batch(operations, user_id)
            except CosmosBatchOperationError as error:
                if error.status_code not in MOVED_ON:
                    raise
                return False
        return True

    async def delete_of_device(self, user_id: str, device_id: str) -> int:
        """Delete an account's notifications of one device; returns how many."""
        deleted = 0
        while found := await self.page(user_id, Filter(device_id=device_id), MAX_BATCH):
            for stored in found:
                try:
                    async with cosmos_call():
                        await self.container.delete_item(stored.notification.id, user_id)
                except CosmosResourceNotFoundError:
                    continue
                deleted += 1
        return deleted

    async def _read(self, user_id: str, query: Query) -> list[Stored]:
        text, parameters = query
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(text, parameters=parameters, partition_key=user_id)
            return [_stored(item) async for item in found]


def _stored(item: Mapping[str, Any]) -> Stored:
    return Stored(Notification.model_validate(item), item["_etag"])
