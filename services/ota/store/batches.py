"""Transactional batches: all of one partition's operations, or none."""

from collections.abc import Mapping, Sequence
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError

from shared.cosmos import cosmos_call

# Not found, exists, changed: what was read is no longer so.
MOVED_ON = (404, 409, 412)

Operation = tuple[str, tuple[Any, ...], dict[str, Any]]


def create(body: Mapping[str, Any]) -> Operation:
    """Refused where one of its id exists."""
    return "create", (body,), {}


def replace(body: Mapping[str, Any], etag: str) -> Operation:
    """Refused where it changed or went."""
    return "replace", (body["id"], body), {"if_match_etag": etag}


def delete(item_id: str, etag: str = "") -> Operation:
    """Refused where it went, or changed since `etag`."""
    return "delete", (item_id,), {"if_match_etag": etag} if etag else {}


async def run(
    container: ContainerProxy, partition_key: str, operations: Sequence[Operation]
) -> int | None:
    """None where all was done, else the number of the operation that was refused: nothing was.

    At most 100. Raises Unavailable, and then nobody knows whether it was done.
    """
    async with cosmos_call():
        try:
            await container.execute_item_batch(list(operations), partition_key)
        except CosmosBatchOperationError as error:
            if error.status_code in MOVED_ON:
                return int(error.error_index)
            raise
    return None
