"""Positions and ledgers in Cosmos DB: one transaction for a run of events and its effects."""

import logging
from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosResourceNotFoundError

from services.ingest.store.retry import persistently
from shared.schemas.documents import Ledger, Position, Redelivery

log = logging.getLogger(__name__)

POSITION = "position"
READ_AT_ONCE = 500
ORDERS_AT_ONCE = 100  # each holds a whole message

# The position is another one, is there already, or it or an order is there no more.
CHANGED = (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND)


class PartitionLost(Exception):
    """Another process committed for this partition: what is known of it is no longer true."""


class LedgerStore:
    """Container `stream`; its partition key is the stream's partition, "{event hub}/{number}"."""

    def __init__(self, container: ContainerProxy) -> None:
        self._container = container

    async def committed(self, stream: str) -> tuple[Position | None, str]:
        """The position of a partition and its ETag; None and "" where nothing was committed."""

        async def read() -> tuple[Position | None, str]:
            try:
                document = await self._container.read_item(POSITION, stream)
            except CosmosResourceNotFoundError:
                return None, ""
            return Position.model_validate(document), str(document["_etag"])

        return await persistently(f"read the position of {stream}", read)

    async def waiting(self, stream: str) -> set[str]:
        """The devices of a partition of which messages wait for the first owner."""
        found = await self._query(
            "SELECT c.id FROM c WHERE c.kind = 'ledger' AND c.waiting = true", stream
        )
        return {each["id"] for each in found}

    async def orders(self, stream: str) -> list[Redelivery]:
        """Redeliveries that were ordered in a partition, as the stream has the messages.

        The first `ORDERS_AT_ONCE`.
        """
        found = await self._query(
            f"SELECT TOP {ORDERS_AT_ONCE} * FROM c "  # noqa: S608 - a number of ours
            "WHERE c.kind = 'redelivery' ORDER BY c.message.sequence_number",
            stream,
        )
        return [Redelivery.model_validate(each) for each in found]

    async def ledgers(self, stream: str, devices: Collection[str]) -> dict[str, Ledger]:
        """The ledgers of those devices that have one, in as few requests as there can be."""
        wanted = list(devices)
        found: dict[str, Ledger] = {}
        for start in range(0, len(wanted), READ_AT_ONCE):
            keys = [(device_id, stream) for device_id in wanted[start : start + READ_AT_ONCE]]
            documents = await persistently(
                f"read the ledgers of {stream}",
                lambda keys=keys: self._container.read_items(keys),  # type: ignore[misc]
            )
            for document in documents:
                ledger = Ledger.model_validate(document)
                found[ledger.id] = ledger
        return found

    async def commit(
        self,
        etag: str,
        position: Position,
        ledgers: Mapping[str, Ledger],
        orders: Sequence[Redelivery] = (),
    ) -> str:
        """Commit effects, and that orders are carried out; returns the position's new ETag.

        At most 99 ledgers and orders. Raises PartitionLost where the position is not the one of
        `etag`, also where an earlier attempt of this very commit went through unheard: the
        caller reads the position again and goes on from there.
        """

        async def write() -> str:
            try:
                results = await self._container.execute_item_batch(
                    _operations(etag, position, ledgers, orders), position.partition
                )
            except CosmosBatchOperationError as error:
                if error.status_code in CHANGED:
                    raise PartitionLost(position.partition) from None
                raise
            return str(results[0]["eTag"])

        return await persistently(f"commit {position.partition}", write)

    async def _query(self, query: str, stream: str) -> list[Mapping[str, Any]]:
        async def read() -> list[Mapping[str, Any]]:
            return [each async for each in self._container.query_items(query, partition_key=stream)]

        return await persistently(f"read the documents of {stream}", read)


def _operations(
    etag: str, position: Position, ledgers: Mapping[str, Ledger], orders: Sequence[Redelivery]
) -> list[Any]:
    document = position.model_dump(mode="json")
    moved: tuple[Any, ...] = (
        ("replace", (POSITION, document), {"if_match_etag": etag})
        if etag
        else ("create", (document,))
    )
    return [
        moved,
        *(("upsert", (each.model_dump(mode="json"),)) for each in ledgers.values()),
        *(("delete", (each.id,)) for each in orders),
    ]
