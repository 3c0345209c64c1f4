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
        async with self._unchanged(blob) as etag:
            await self.container.get_blob_client(blob.name).get_blob_properties(
                etag=etag, match_condition=MatchConditions.IfNotModified
            )

    async def read(self, blob: Blob, first: int, length: int) -> bytes:
        """All of these bytes, in one request."""
        async with self._unchanged(blob) as etag:
            stream = await self.container.download_blob(
                blob.name,
                offset=first,
                length=length,
                etag=etag,
                match_condition=MatchConditions.IfNotModified,
                max_concurrency=1,
            )
            found = await stream.readall()
        if len(found) != length:  # whoever reads on at its end would read for ever
            raise _tampered()
        return found

    @asynccontextmanager
    async def _unchanged(self, blob: Blob) -> AsyncIterator[str]:
        if not blob.etag:  # nobody saw it being stored
            raise _tampered()
        try:
            async with _call():
                yield blob.etag
        except ResourceModifiedError:
            # A blob that is gone does not have this ETag either.
            async with _call():
                await self.container.get_blob_client(blob.name).get_blob_properties()
            raise _tampered() from None


@asynccontextmanager
async def _call() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(CALL_SECONDS):
            yield
    except ResourceModifiedError:
        raise
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
