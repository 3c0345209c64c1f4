"""Container `user_messages`: outboxes and messages, one partition for each device."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosResourceNotFoundError

from services.api.documents.user_messages import (
    OPEN,
    OUTBOX_ID,
    MessageState,
    Outbox,
    UserMessage,
)
from services.api.store.deletion import delete_where
from services.api.store.pages import read_page
from shared.cosmos import LIST_SECONDS, cosmos_call

# Not found, conflict, precondition failed: what was read is no longer so.
CHANGED = (404, 409, 412)
MAX_CHANGES = 90  # messages in one transaction; it takes a hundred operations
PAGE = 100


@dataclass(frozen=True)
class Held:
    """An outbox as it was read or written, and its ETag; "" where it is yet to be made."""

    outbox: Outbox
    etag: str


@dataclass(frozen=True)
class Changes:
    """What becomes of messages, written together with their outbox."""

    made: UserMessage | None = None
    fields: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # by message id


@dataclass(frozen=True)
class Page:
    """Some messages, and the cursor of the next page; "" after the last."""

    messages: list[UserMessage]
    next: str


@dataclass(frozen=True)
class UserMessages:
    """Every call but `due` stays within one device's partition."""

    container: ContainerProxy

    async def outbox(self, device_id: str) -> Held | None:
        """A point read."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(OUTBOX_ID, partition_key=device_id)
        except CosmosResourceNotFoundError:
            return None
        return Held(Outbox.model_validate(item), item["_etag"])

    async def get(self, device_id: str, message_id: str) -> UserMessage | None:
        """A point read."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(message_id, partition_key=device_id)
        except CosmosResourceNotFoundError:
            return None
        return UserMessage.model_validate(item) if item.get("kind") == "message" else None

    async def some(self, device_id: str, message_ids: Sequence[str]) -> dict[str, UserMessage]:
        """Those that exist, by id, without their bodies."""
        if not message_ids:
            return {}
        names = {f"@id{number}": message_id for number, message_id in enumerate(message_ids)}
        found = await self._query(
            f"SELECT {_WITHOUT_BODY} FROM c WHERE c.id IN ({', '.join(names)}) "  # noqa: S608
            "AND c.kind = 'message'",
            names,
            device_id,
        )
        return {message.id: message for message in found}

    async def all_open(self, device_id: str) -> list[UserMessage]:
        """Those that have not found their end, without their bodies."""
        found = await asyncio.gather(
            *(
                self._query(
                    f"SELECT {_WITHOUT_BODY} FROM c WHERE {_IN_STATE} {_IN_ORDER}",  # noqa: S608
                    {"@device": device_id, "@state": state},
                    device_id,
                )
                for state in OPEN
            )
        )
        # One may have gone from one state to the other between the two.
        return list({each.id: each for part in found for each in part}.values())

    async def to_send(self, outbox: Outbox, now: datetime, limit: int) -> list[UserMessage]:
        """The oldest that wait and may be sent now, of the outbox's own pairing."""
        waiting = await self._query(
            f"SELECT * FROM c WHERE {_IN_STATE} AND c.user_id = @user "  # noqa: S608
            "AND c.paired_at = @paired AND NOT c.withdrawn AND c.expires_at > @now "
            "AND (IS_NULL(c.not_before) OR c.not_before <= @now) "
            f"{_IN_ORDER} OFFSET 0 LIMIT @limit",
            {
                "@device": outbox.device_id,
                "@state": MessageState.WAITING,
                "@user": outbox.user_id,
                "@paired": _text(outbox.paired_at),
                "@now": _text(now),
                "@limit": limit,
            },
            outbox.device_id,
        )
        return [message for message in waiting if message.expires_at > now]

    async def page(
        self, device_id: str, user_id: str, states: Sequence[str], *, limit: int, cursor: str
    ) -> Page:
        """An account's messages to a device, newest first; costs what the page holds.

        Raises InvalidRequest for a cursor of another list.
        """
        wanted = " AND ARRAY_CONTAINS(@states, c.state)" if states else ""
        parameters: dict[str, object] = {"@device": device_id, "@user": user_id}
        if states:
            parameters["@states"] = list(states)
        page = await read_page(
            self.container,
            "SELECT * FROM c WHERE c.device_id = @device AND c.user_id = @user "  # noqa: S608
            f"AND c.kind = 'message'{wanted} "
            "ORDER BY c.device_id DESC, c.user_id DESC, c.number DESC",
            parameters,
            device_id,
            limit=limit,
            cursor=cursor,
        )
        return Page([UserMessage.model_validate(item) for item in page.items], page.next)

    async def due(self, now: datetime) -> list[str]:
        """The devices of some outboxes that somebody must come to; all partitions are asked."""
        found = self.container.query_items(
            "SELECT VALUE c.device_id FROM c WHERE c.due <= @now",
            parameters=[{"name": "@now", "value": now.timestamp()}],
            max_item_count=PAGE,
        )
        async with cosmos_call(LIST_SECONDS):
            async for page in found.by_page():
                # The SDK's annotation says that items are objects.
                devices = [str(item) async for item in page]
                if devices:
                    return devices
        return []

    async def write(self, held: Held, outbox: Outbox, changes: Changes) -> Held | None:
        """Change an outbox and messages of it in one transaction.

        None where the outbox is no longer the one of `held`, or a message is not as it must be:
        read again. At most `MAX_CHANGES` messages. Raises Unavailable, and then nobody knows
        whether it was written.
        """
        body = outbox.model_dump(mode="json")
        operations: list[Any] = [
            ("replace", (OUTBOX_ID, body), {"if_match_etag": held.etag})
            if held.etag
            else ("create", (body,))
        ]
        if changes.made is not None:
            operations.append(("create", (changes.made.model_dump(mode="json"),)))
        operations += [
            ("patch", (message_id, [_set(name, value) for name, value in fields.items()]))
            for message_id, fields in changes.fields.items()
        ]
        async with cosmos_call():
            try:
                results = await self.container.execute_item_batch(operations, outbox.device_id)
            except CosmosBatchOperationError as error:
                if error.status_code in CHANGED:
                    return None
                raise
        return Held(outbox, str(results[0]["eTag"]))

    async def delete_of(self, user_id: str, device_id: str) -> int:
        """Delete all of an account's messages to a device; returns how many there were.

        What is open is sent no more; its outbox counts anew when somebody looks at it. Calling
        again completes what was interrupted.
        """
        condition = "c.kind = 'message' AND c.user_id = @user"
        return await delete_where(self.container, condition, {"@user": user_id}, device_id)

    async def _query(
        self, query: str, parameters: Mapping[str, object], device_id: str
    ) -> list[UserMessage]:
        values = [{"name": name, "value": value} for name, value in parameters.items()]
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(query, parameters=values, partition_key=device_id)
            return [UserMessage.model_validate(item) async for item in found]


_WITHOUT_BODY = ", ".join(f"c.{name}" for name in UserMessage.model_fields if name != "body")


# As the container's composite index has them, so that only these are read.
_IN_STATE = "c.device_id = @device AND c.state = @state"
_IN_ORDER = "ORDER BY c.device_id, c.state, c.number"


def _set(name: str, value: object) -> dict[str, object]:
    return {
        "op": "set",
        "path": f"/{name}",
        "value": _text(value) if isinstance(value, datetime) else value,
    }


def _text(moment: datetime) -> str:
    """As a document has it."""
    return moment.isoformat().replace("+00:00", "Z")
