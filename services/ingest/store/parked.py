"""Parked messages that ingest delivers by itself: what a queue refused, what waits for an owner."""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosBatchOperationError,
    CosmosResourceNotFoundError,
)

from services.ingest.store.retry import persistently
from shared.schemas.documents import ParkedMessage

PAGE = 100  # messages read and delivered at once
LEFTOVERS = 1000  # looked at in one go

# Cosmos DB takes 100 operations and 2 MB in a batch; what is not ASCII takes the SDK up to three
# times the bytes that are counted here.
BATCH_OPERATIONS = 100
BATCH_BYTES = 600_000


class ParkedStore:
    """Container `parked`; its partition key is the holder: an account, or an unowned device."""

    def __init__(self, container: ContainerProxy, slots: asyncio.Semaphore) -> None:
        self._container = container
        self._slots = slots

    async def refused(self, user_id: str, stream: str) -> list[ParkedMessage]:
        """The first messages of a partition that an account's queue refused, at most `PAGE`."""
        return await self._page(user_id, stream, "refused")

    async def waiting(self, device_id: str, stream: str) -> list[ParkedMessage]:
        """The first messages that wait for the device's first owner, at most `PAGE`."""
        return await self._page(device_id, stream, "no_owner")

    async def put(self, messages: Sequence[ParkedMessage]) -> None:
        """Write documents in order, each holder's in batches; an older version is replaced."""
        holders: dict[str, list[ParkedMessage]] = {}
        for message in messages:
            holders.setdefault(message.holder, []).append(message)
        async with asyncio.TaskGroup() as tasks:
            for holder, held in holders.items():
                tasks.create_task(self._put(holder, held))

    async def delete(self, messages: Iterable[ParkedMessage]) -> None:
        """Delete documents of one holder; those that are gone already are no matter."""
        found = list(messages)
        for start in range(0, len(found), BATCH_OPERATIONS):
            some = found[start : start + BATCH_OPERATIONS]
            await persistently("delete what was parked", lambda some=some: self._delete(some))  # type: ignore[misc]

    async def copies(
        self, user_id: str, stream: str, messages: Sequence[ParkedMessage]
    ) -> list[ParkedMessage]:
        """Which of these messages are there as refused by the account's queue."""
        if not messages:
            return []
        ids = [each.id for each in messages]
        return await self._query(
            "SELECT * FROM c WHERE c.stream = @stream AND c.reason = 'refused' "
            "AND ARRAY_CONTAINS(@ids, c.id)",
            holder=user_id,
            stream=stream,
            ids=ids,
        )

    async def leftovers(self, stream: str, held: Collection[str]) -> list[ParkedMessage]:
        """What is there as refused of accounts that are not held, of the whole partition.

        Left by an attempt that was never committed; a later one may have delivered it. At most
        `LEFTOVERS`: a process that lost the partition may take a backlog for them.
        """
        return await self._query(
            "SELECT TOP @limit * FROM c WHERE c.stream = @stream AND c.reason = 'refused' "
            "AND IS_NULL(c.ordered_at) AND NOT ARRAY_CONTAINS(@held, c.holder)",
            stream=stream,
            held=list(held),
            limit=LEFTOVERS,
        )

    async def keep(self, message: ParkedMessage, detail: str) -> None:
        """A message stays parked although its redelivery was ordered: `detail` says why."""
        operations: list[dict[str, Any]] = [
            {"op": "set", "path": "/detail", "value": detail},
            {"op": "set", "path": "/ordered_at", "value": None},
        ]

        async def patch() -> None:
            try:
                await self._container.patch_item(message.id, message.holder, operations)
            except CosmosResourceNotFoundError:
                return  # it expired

        await persistently("keep what was parked", patch)

    async def _page(self, holder: str, stream: str, reason: str) -> list[ParkedMessage]:
        return await self._query(
            "SELECT TOP @limit * FROM c WHERE c.stream = @stream AND c.reason = @reason "
            "ORDER BY c.sequence_number",
            holder=holder,
            stream=stream,
            reason=reason,
            limit=PAGE,
        )

    async def _query(
        self, query: str, holder: str | None = None, **parameters: object
    ) -> list[ParkedMessage]:
        values = [{"name": f"@{name}", "value": value} for name, value in parameters.items()]

        async def read() -> list[ParkedMessage]:
            found = (
                self._container.query_items(query, parameters=values, partition_key=holder)
                if holder is not None
                else self._container.query_items(query, parameters=values)
            )
            return [ParkedMessage.model_validate(each) async for each in found]

        return await persistently("read what is parked", read)

    async def _put(self, holder: str, messages: Sequence[ParkedMessage]) -> None:
        # One batch after another: whoever reads meanwhile sees no later message without an
        # earlier one.
        async with self._slots:
            for batch in _batches(messages):
                operations = [("upsert", (body,)) for body in batch]
                await persistently(
                    "park what a queue refused",
                    lambda some=operations: self._container.execute_item_batch(some, holder),  # type: ignore[misc]
                )

    async def _delete(self, messages: Sequence[ParkedMessage]) -> None:
        holder = messages[0].holder
        operations = [("delete", (each.id,)) for each in messages]
        try:
            await self._container.execute_item_batch(operations, holder)
        except CosmosBatchOperationError as error:
            if error.status_code != HTTPStatus.NOT_FOUND:
                raise
            # One of them expired or was deleted by another process, and so none was.
            for each in messages:
                await self._delete_one(each)

    async def _delete_one(self, message: ParkedMessage) -> None:
        try:
            await self._container.delete_item(message.id, message.holder)
        except CosmosResourceNotFoundError:
            return


def _batches(messages: Iterable[ParkedMessage]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for message in messages:
        length = len(message.model_dump_json().encode())
        if batch and (len(batch) == BATCH_OPERATIONS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(message.model_dump(mode="json"))
        size += length
    if batch:
        yield batch
