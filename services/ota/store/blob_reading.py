"""Blob Storage, as downloads read it: a blob is what was stored, or it is not read at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ResourceModifiedError, ResourceNotFoundError
from azure.storage.blob.aio import ContainerClient

from services.ota.logic.chunks import Blob
from shared.errors import Conflict, NotFound, Unavailable

CALL_SECONDS = 10.0


class Tampered(Conflict):
    """The blob in storage is not the one that was uploaded: 409."""


@dataclass(frozen=True)
class BlobReading:
    """Every call raises Tampered where the blob was changed, NotFound where it is gone, and
    Unavailable."""

    container: ContainerClient

    async def check(self, blob: Blob) -> None:
        """Costs one request, whatever the blob's size."""
        async with _call():
            found = await self.container.get_blob_client(blob.name).get_blob_properties(
                etag=_etag(blob), match_condition=MatchConditions.IfNotModified
            )
        if found.size != blob.size:
            raise _tampered()

    async def read(self, blob: Blob, first: int, length: int) -> bytes:
        """All of these bytes, in one request."""
        async with _call():
            stream = await self.container.download_blob(
                blob.name,
                offset=first,
                length=length,
                etag=_etag(blob),
                match_condition=MatchConditions.IfNotModified,
                max_concurrency=1,
            )
            return await stream.readall()


def _etag(blob: Blob) -> str:
    """Raises Tampered for a blob that nobody saw being stored."""
    if not blob.etag:
        raise _tampered()
    return blob.etag


@asynccontextmanager
async def _call() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except ResourceModifiedError:
        raise _tampered() from None
    except ResourceNotFoundError:
        raise NotFound(
            "The file is not in storage any more; it may just have been deleted."
        ) from None
    except (AzureError, TimeoutError, OSError) as error:
        raise Unavailable("The storage does not answer; try again in a few seconds.") from error


def _tampered() -> Tampered:
    return Tampered(
        "The file was changed in storage after it was uploaded, so nobody gets it; upload it again "
        "as a new version."
    )
