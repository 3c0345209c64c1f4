"""Positions and ledgers in Cosmos DB: one transaction for a run of events and its effects."""

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError, CosmosResourceNotFoundError

from services.ingest.store.retry import persistently
from shared.schemas.documents import Ledger, Position

log = logging.getLogger(__name__)

POSITION = "position"
READ_AT_ONCE = 500


class PartitionLost(Exception):
    """Another process committed for this partition: what is known of it is no longer true."""


@dataclass(frozen=True, slots=True)
class Committed:
    """How far a partition is committed. `etag` is "" where nothing ever was."""

    sequence_number: int
    etag: str


class LedgerStore:
    """Container `stream`; its partition key is the stream's partition, "{event hub}/{number}"."""

    def __init__(self, container: ContainerProxy) -> None:
        self._container = container

    async def committed(self, stream: str) -> Committed:
        """The position of a partition; sequence number -1 where there is none."""

        async def read() -> Committed:
            try:
                document = await self._container.read_item(POSITION, stream)
            except CosmosResourceNotFoundError:
                return Committed(-1, "")
            return Committed(int(document["sequence_number"]), str(document["_etag"]))

        return await persistently(f"read the position of {stream}", read)

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

    async def commit(self, etag: str, position: Position, ledgers: Mapping[str, Ledger]) -> str:
        """Commit a run of events; returns the position's new ETag.

        At most 99 ledgers. Raises PartitionLost where the position is not the one of `etag`,
        also where an earlier attempt of this very commit went through unheard: the caller reads
        the position again and goes on from there.
        """

        async def write() -> str:
            try:
                results = await self._container.execute_item_batch(
                    _operations(etag, position, ledgers), position.partition
                )
            except CosmosBatchOperationError as error:
                if error.status_code in (HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT):
                    raise PartitionLost(position.partition) from None
                raise
            return str(results[0]["eTag"])

        return await persistently(f"commit {position.partition}", write)


def _operations(etag: str, position: Position, ledgers: Mapping[str, Ledger]) -> list[Any]:
    document = position.model_dump(mode="json")
    moved: tuple[Any, ...] = (
        ("replace", (POSITION, document), {"if_match_etag": etag})
        if etag
        else ("create", (document,))
    )
    return [moved, *(("upsert", (each.model_dump(mode="json"),)) for each in ledgers.values())]
