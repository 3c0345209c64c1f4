"""Container `notifications`, one partition for each account."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosBatchOperationError,
    CosmosResourceNotFoundError,
)

from services.api.store.cosmos import LIST_SECONDS, cosmos_call
from services.api.store.keyset import Keyset, keyset_query
from services.api.store.pages import read_page
from shared.schemas.documents import Notification, sortable

MAX_BATCH = 100  # operations in one transaction of Cosmos DB
# Not there any more, or changed meanwhile; the transaction's other operations answer 424.
MOVED_ON = (404, 412)


@dataclass(frozen=True)
class Filter:
    """What is looked for; what is not given does not matter."""

    level: int = 0
    states: tuple[str, ...] = ()
    device_ids: tuple[str, ...] | None = None  # of these devices only
    ids: tuple[str, ...] | None = None  # these notifications only
    since: datetime | None = None  # when the hub took it: from then on
    until: datetime | None = None  # before then

    @property
    def where(self) -> str:
        # Ingest wrote no state at first: what has none is new.
        states = "ARRAY_CONTAINS(@states, c.state)"
        if "new" in self.states:
            states = f"({states} OR NOT IS_DEFINED(c.state))"
        conditions = [
            *(["c.level = @level"] if self.level else []),
            *([states] if self.states else []),
            *(["ARRAY_CONTAINS(@device_ids, c.device_id)"] if self.device_ids is not None else []),
            *(["ARRAY_CONTAINS(@ids, c.id)"] if self.ids is not None else []),
            *(["c.enqueued_at >= @since"] if self.since else []),
            *(["c.enqueued_at < @until"] if self.until else []),
        ]
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    @property
    def parameters(self) -> Mapping[str, object]:
        values: Mapping[str, object] = {
            "@level": self.level,
            "@states": list(self.states),
            "@device_ids": list(self.device_ids or ()),
            "@ids": list(self.ids or ()),
            "@since": sortable(self.since) if self.since else None,
            "@until": sortable(self.until) if self.until else None,
        }
        where = self.where
        return {name: value for name, value in values.items() if name in where}


@dataclass(frozen=True)
class Stored:
    """A notification as it was read, with the ETag under which it is changed."""

    notification: Notification
    etag: str


@dataclass(frozen=True)
class Page:
    """Some notifications, newest first, and the cursor of the next page; "" after the last."""

    items: list[Stored]
    next: str


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

    async def page(self, user_id: str, wanted: Filter, limit: int, cursor: str = "") -> Page:
        """At most `limit`, newest first. Raises InvalidRequest for a cursor of another list."""
        found = await read_page(
            self.container,
            f"SELECT * FROM c{wanted.where} ORDER BY c.enqueued_at DESC",  # noqa: S608
            wanted.parameters,
            user_id,
            limit=limit,
            cursor=cursor,
        )
        return Page([_stored(item) for item in found.items], found.next)

    async def newest_of_device(
        self, user_id: str, device_id: str, keyset: Keyset
    ) -> list[Notification]:
        """One device's, newest first, behind a place in the order."""
        conditions = ["c.user_id = @user", "c.device_id = @device"]
        values = {"@user": user_id, "@device": device_id}
        query, parameters = keyset_query(("user_id", "device_id"), conditions, values, keyset)
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(query, parameters=parameters, partition_key=user_id)
            return [Notification.model_validate(item) async for item in found]

    async def count(self, user_id: str, wanted: Filter) -> int:
        """How many there are; answered from the index."""
        found = self.container.query_items(
            f"SELECT VALUE COUNT(1) FROM c{wanted.where}",  # noqa: S608
            parameters=[
                {"name": name, "value": value} for name, value in wanted.parameters.items()
            ],
            partition_key=user_id,
        )
        async with cosmos_call(LIST_SECONDS):
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
        wanted, deleted = Filter(device_ids=(device_id,)), 0
        while items := (await self.page(user_id, wanted, MAX_BATCH)).items:
            for stored in items:
                try:
                    async with cosmos_call():
                        await self.container.delete_item(stored.notification.id, user_id)
                except CosmosResourceNotFoundError:
                    continue
                deleted += 1
        return deleted


def _stored(item: Mapping[str, Any]) -> Stored:
    return Stored(Notification.model_validate(item), item["_etag"])
