"""Point operations on one document: reading it with its ETag, and writing it under that.

Where somebody else was quicker, that is an answer and no error. All raise Unavailable.
"""

from typing import TypeVar

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from pydantic import BaseModel

from shared.cosmos import cosmos_call

T = TypeVar("T", bound=BaseModel)


async def read(
    container: ContainerProxy, kind: type[T], item_id: str, partition_key: str
) -> tuple[T, str] | None:
    """A point read: the document and its ETag."""
    try:
        async with cosmos_call():
            item = await container.read_item(item_id, partition_key=partition_key)
    except CosmosResourceNotFoundError:
        return None
    return kind.model_validate(item), item["_etag"]


async def create(container: ContainerProxy, document: BaseModel) -> str | None:
    """Its ETag; None where there is one of this id already."""
    try:
        async with cosmos_call():
            item = await container.create_item(document.model_dump(mode="json"))
    except CosmosResourceExistsError:
        return None
    return str(item["_etag"])


async def replace(container: ContainerProxy, document: BaseModel, etag: str) -> str | None:
    """Its new ETag; None where it changed or went since it was read."""
    body = document.model_dump(mode="json")
    try:
        async with cosmos_call():
            item = await container.replace_item(
                body["id"], body, etag=etag, match_condition=MatchConditions.IfNotModified
            )
    except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
        return None
    return str(item["_etag"])


async def put(container: ContainerProxy, document: BaseModel, etag: str | None) -> bool:
    """Create, or replace what has this ETag; False where somebody else did meanwhile."""
    if etag is None:
        return await create(container, document) is not None
    return await replace(container, document, etag) is not None


async def delete(container: ContainerProxy, item_id: str, partition_key: str) -> bool:
    """False where there is none."""
    try:
        async with cosmos_call():
            await container.delete_item(item_id, partition_key=partition_key)
    except CosmosResourceNotFoundError:
        return False
    return True


async def delete_unchanged(
    container: ContainerProxy, item_id: str, partition_key: str, etag: str
) -> bool:
    """False where it changed since it was read; what went already is deleted."""
    try:
        async with cosmos_call():
            await container.delete_item(
                item_id,
                partition_key=partition_key,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
            )
    except CosmosResourceNotFoundError:
        return True
    except CosmosAccessConditionFailedError:
        return False
    return True
