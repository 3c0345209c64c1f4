"""Where the SDK starts to read a partition: at the position in Cosmos DB.

Blob Storage still shares the partitions out, and its checkpoints feed the autoscaler; but they
lag behind, and may be lost, while the position is the truth. Reading from it means that nothing
is read twice, and never the whole stream, whatever became of the blobs.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from azure.core.exceptions import ResourceNotFoundError
from azure.cosmos.aio import ContainerProxy
from azure.eventhub.aio import CheckpointStore

from services.ingest.store.ledgers import POSITION

# `offset` is a word of Cosmos DB's SQL.
_QUERY = 'SELECT c.partition, c.sequence_number, c["offset"] FROM c WHERE c.id = @id'


class PositionCheckpoints(CheckpointStore):
    """A checkpoint store whose checkpoints, when read, are the positions of container `stream`.

    Errors of Blob Storage or Cosmos DB go to the SDK, which keeps what it owns and tries again
    at its next round of load balancing.
    """

    def __init__(
        self,
        blobs: CheckpointStore,
        make_blobs: Callable[[], Awaitable[None]],
        stream: ContainerProxy,
    ) -> None:
        """`make_blobs` makes their container, where somebody deleted it."""
        self._blobs = blobs
        self._make_blobs = make_blobs
        self._stream = stream

    async def list_ownership(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """Who owns which partition, from Blob Storage."""
        try:
            return await self._blobs.list_ownership(
                fully_qualified_namespace, eventhub_name, consumer_group, **kwargs
            )
        except ResourceNotFoundError:
            await self._make_blobs()
            return []

    async def claim_ownership(
        self, ownership_list: Iterable[dict[str, Any]], **kwargs: Any
    ) -> Iterable[dict[str, Any]]:
        """Claim partitions in Blob Storage; those that were claimed."""
        return await self._blobs.claim_ownership(ownership_list, **kwargs)

    async def update_checkpoint(
        self, checkpoint: dict[str, str | int | None], **kwargs: Any
    ) -> None:
        """Tell the autoscaler, through Blob Storage, how far a partition is."""
        await self._blobs.update_checkpoint(checkpoint, **kwargs)

    async def list_checkpoints(
        self, fully_qualified_namespace: str, eventhub_name: str, consumer_group: str, **_: Any
    ) -> Iterable[dict[str, Any]]:
        """The committed position of each partition that has one."""
        positions = self._stream.query_items(
            _QUERY, parameters=[{"name": "@id", "value": POSITION}]
        )
        hub = f"{eventhub_name}/"
        return [
            {
                "fully_qualified_namespace": fully_qualified_namespace,
                "eventhub_name": eventhub_name,
                "consumer_group": consumer_group,
                "partition_id": each["partition"].removeprefix(hub),
                "offset": each["offset"],
                "sequence_number": each["sequence_number"],
            }
            async for each in positions
            if each["partition"].startswith(hub)
        ]
