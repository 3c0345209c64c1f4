"""Deleting all that a query finds in one partition."""

from collections.abc import Mapping

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosBatchOperationError

from shared.cosmos import LIST_SECONDS, cosmos_call

AT_ONCE = 100  # operations in one transactional batch
NOT_FOUND = 404


async def delete_where(
    container: ContainerProxy, condition: str, parameters: Mapping[str, object], partition_key: str
) -> int:
    """Delete what meets a condition on `c`; returns how many documents that were.

    What somebody else deletes at the same time is theirs. Calling again completes what was
    interrupted. Raises Unavailable.
    """
    query = f"SELECT TOP {AT_ONCE} VALUE c.id FROM c WHERE {condition}"  # noqa: S608
    values: list[dict[str, object]] = [
        {"name": name, "value": value} for name, value in parameters.items()
    ]
    deleted = 0
    while True:
        async with cosmos_call(LIST_SECONDS):
            found = container.query_items(query, parameters=values, partition_key=partition_key)
            # The SDK's annotation says that items are objects.
            ids = [str(each) async for each in found]
        if not ids:
            return deleted
        async with cosmos_call():
            try:
                await container.execute_item_batch(
                    [("delete", (each,)) for each in ids], partition_key
                )
            except CosmosBatchOperationError as error:
                if error.status_code != NOT_FOUND:
                    raise
                continue
        deleted += len(ids)
