"""The binaries in Blob Storage: writing and removing them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.storage.blob import BlobBlock, ContentSettings, StorageErrorCode
from azure.storage.blob.aio import ContainerClient

from shared.errors import Unavailable

CALL_SECONDS = 30.0  # for one block, too
BINARY = "application/octet-stream"


@asynccontextmanager
async def blob_call(seconds: float = CALL_SECONDS) -> AsyncIterator[None]:
    """Bound a call in time; raises `Unavailable` where Blob Storage does not answer.

    "Not found", "exists" and "changed" pass through: they are answers.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except (ResourceNotFoundError, ResourceExistsError, ResourceModifiedError):
        raise
    except HttpResponseError as error:
        if error.status_code is not None and 400 <= error.status_code < 500:
            raise
        raise _unavailable() from error
    except (AzureError, TimeoutError, OSError) as error:
        raise _unavailable() from error


@dataclass(frozen=True)
class Blobs:
    """One container. Every call raises Unavailable."""

    container: ContainerClient

    async def answers(self) -> None:
        """Raises whatever keeps Blob Storage from answering."""
        await self.container.exists()

    async def stage(self, filepath: str, number: int, block: bytes) -> None:
        """Send a block of a blob; nobody sees it before `commit`."""
        try:
            await self._stage(filepath, number, block)
        except ResourceNotFoundError as error:
            if error.error_code != StorageErrorCode.CONTAINER_NOT_FOUND:  # type: ignore[attr-defined]
                raise
            await self._make_container()
            await self._stage(filepath, number, block)

    async def commit(self, filepath: str, blocks: int, md5: bytes) -> str:
        """Make a new blob of the blocks sent, numbered from 0. Returns its ETag."""
        blob = self.container.get_blob_client(filepath)
        settings = ContentSettings(content_type=BINARY, content_md5=bytearray(md5))
        try:
            async with blob_call():
                made = await blob.commit_block_list(
                    [BlobBlock(_block_id(number)) for number in range(blocks)],
                    content_settings=settings,
                    match_condition=MatchConditions.IfMissing,
                )
            return str(made["etag"])
        except (ResourceExistsError, ResourceModifiedError):
            # Its name is random, so it is this very one: the reply to the first attempt was lost.
            async with blob_call():
                return str((await blob.get_blob_properties()).etag)

    async def discard(self, filepath: str) -> None:
        """Remove a blob, and the blocks of one that was never committed."""
        if await self._delete(filepath):
            return
        # Azurite has removed what has blocks alone by now. Azure has no call for that, and keeps
        # them for a week unless a list without them is committed.
        try:
            async with blob_call():
                await self.container.get_blob_client(filepath).commit_block_list([])
        except ResourceNotFoundError:
            return  # not even the container is there
        await self._delete(filepath)

    async def _delete(self, filepath: str) -> bool:
        try:
            async with blob_call():
                await self.container.get_blob_client(filepath).delete_blob()
        except ResourceNotFoundError:
            return False
        return True

    async def _stage(self, filepath: str, number: int, block: bytes) -> None:
        blob = self.container.get_blob_client(filepath)
        async with blob_call():
            await blob.stage_block(_block_id(number), block, validate_content=True)

    async def _make_container(self) -> None:
        try:
            async with blob_call():
                await self.container.create_container()
        except ResourceExistsError:
            return


def _block_id(number: int) -> str:
    """Of one length for all blocks of a blob, as Blob Storage wants it."""
    return f"{number:08}"


def _unavailable() -> Unavailable:
    return Unavailable("Blob Storage does not answer; try again in a few seconds.")
