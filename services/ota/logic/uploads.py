"""A binary on its way into Blob Storage: whole and under its hashes, or not at all.

An intent (`Upload`) is written first. What fails is taken back at once; what a kill or a silent
database left behind is found by its intent later, so that it costs nothing where nothing fails.
"""

import asyncio
import hashlib
import logging
import random
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from services.ota.documents import Upload
from services.ota.store.apps import Apps
from services.ota.store.blobs import Blobs
from services.ota.store.firmware import Firmware
from services.ota.store.in_use import InUse
from services.ota.store.uploads import Uploads
from shared.errors import InvalidRequest, MyMoteError, TooLarge, Unavailable

log = logging.getLogger(__name__)

BLOCK_BYTES = 256 * 1024  # of a binary that is held in memory
PAUSE_SECONDS = 0.5  # at most, before a silent database is asked again
OLD = timedelta(hours=1)  # no upload takes that long
# A deletion that takes longer begins anew; meanwhile nobody can order what it has marked.
OLD_DELETION = timedelta(minutes=5)

T = TypeVar("T")


@dataclass(frozen=True)
class Stores:
    """Where artifacts are."""

    apps: Apps
    firmware: Firmware
    uploads: Uploads
    blobs: Blobs
    in_use: InUse


@dataclass(frozen=True)
class Incoming:
    """A binary as it arrives, and what is known of it before."""

    chunks: AsyncIterator[bytes]
    length: int | None  # bytes, where the sender says it
    md5: bytes | None  # where the sender says it
    limit: int  # bytes


@dataclass(frozen=True)
class Received:
    """A binary that is a blob now."""

    size: int  # bytes
    md5: str  # base64
    sha256: str  # hex
    blob_etag: str


def check_length(incoming: Incoming) -> None:
    """What is wrong before the first byte. Raises TooLarge, InvalidRequest."""
    if incoming.length is not None and incoming.length > incoming.limit:
        raise _too_large(incoming.limit)
    if incoming.length == 0:
        raise _empty()


async def upload(
    stores: Stores,
    intent: Upload,
    incoming: Incoming,
    keep: Callable[[Received], Awaitable[T]],
) -> T:
    """What `keep` makes of the blob. Where it or anything before it refuses, nothing is left.

    Raises TooLarge, InvalidRequest, Unavailable, and what `keep` and reading the binary raise.
    """
    check_length(incoming)
    begun = await stores.uploads.begin(intent)
    try:
        received = await _receive(stores.blobs, intent.filepath, incoming)
    except Unavailable:
        raise  # it would not be removed either: `sweep` sees to it
    except Exception:
        await forget(stores, intent)
        raise
    try:
        kept = await keep(received)
    except Unavailable:
        raise  # nobody knows whether it is kept: `sweep` will see
    except MyMoteError:
        await forget(stores, intent)
        raise
    await _done(stores, intent, begun)
    return kept


async def settled(write: Callable[[], Awaitable[T]]) -> T:
    """`write`, and once more where the database fell silent: it refuses then what was written.

    Raises Unavailable, and then nobody knows.
    """
    try:
        return await write()
    except Unavailable:
        await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))  # noqa: S311 - no secret
    try:
        return await write()
    except Unavailable as error:
        raise Unavailable(
            "The database fell silent at the last step, so this binary may have been kept; see "
            "whether it is listed before you upload it again."
        ) from error


async def forget(stores: Stores, intent: Upload) -> None:
    """Remove the blob, and then the intent. What fails is left to `sweep`."""
    try:
        await stores.blobs.discard(intent.filepath)
        await stores.uploads.done(intent.id)
    except Exception as error:
        log.warning(
            "a binary is removed later",
            extra={"id": intent.id, "error": f"{type(error).__name__}: {error}"},
        )


async def sweep(stores: Stores, now: datetime | None = None) -> int:
    """See to the oldest of what was left behind (`OLD`, `OLD_DELETION`); returns how much that was.

    Raises Unavailable.
    """
    now = now or datetime.now(UTC)
    swept = 0
    for intent, etag in await stores.uploads.begun_before(now - OLD, now - OLD_DELETION):
        try:
            if not await _settled(stores, intent):
                continue  # it goes on after all
            await stores.uploads.unchanged_done(intent.id, etag)
        except Unavailable:
            raise
        except Exception:  # of one alone: the others must not wait for it
            log.exception("what was left behind cannot be removed", extra={"id": intent.id})
        else:
            swept += 1
    return swept


async def _receive(blobs: Blobs, filepath: str, incoming: Incoming) -> Received:
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    size = blocks = 0
    async for block in _blocks(incoming):
        md5.update(block)
        sha256.update(block)
        await blobs.stage(filepath, blocks, block)
        size, blocks = size + len(block), blocks + 1
    if not size:
        raise _empty()
    if incoming.md5 is not None and incoming.md5 != md5.digest():
        raise InvalidRequest("The binary is not what its Content-MD5 says; send it again.")
    etag = await blobs.commit(filepath, blocks, md5.digest())
    return Received(size, b64encode(md5.digest()).decode(), sha256.hexdigest(), etag)


async def _blocks(incoming: Incoming) -> AsyncIterator[bytes]:
    """The binary in blocks of `BLOCK_BYTES`, the last one shorter. Raises TooLarge."""
    held, size = bytearray(), 0
    async for chunk in incoming.chunks:
        size += len(chunk)
        if size > incoming.limit:
            raise _too_large(incoming.limit)
        held += chunk
        while len(held) >= BLOCK_BYTES:
            yield bytes(held[:BLOCK_BYTES])
            del held[:BLOCK_BYTES]
    if held:
        yield bytes(held)


async def _settled(stores: Stores, intent: Upload) -> bool:
    """Keeps the artifact, or removes its blob; False where it was changed or removed meanwhile.

    One that is kept is written anew in any case: whoever read it before and is about to delete it,
    however slow, has an old ETag then, and begins with another intent.
    """
    if intent.kind == "app":
        version = await stores.apps.version(intent.partition, intent.id)
        if version is not None:
            kept = version.version.model_copy(update={"deleting": False})
            return await stores.apps.replace_version(kept, version.etag) is not None
    else:
        firmware = await stores.firmware.get(intent.id)
        if firmware is not None:
            kept_firmware = firmware.firmware.model_copy(update={"deleting": False})
            return await stores.firmware.replace(kept_firmware, firmware.etag) is not None
    await stores.blobs.discard(intent.filepath)
    return True


async def _done(stores: Stores, intent: Upload, begun: str) -> None:
    try:
        await stores.uploads.unchanged_done(intent.id, begun)
    except Unavailable:
        log.warning("an intent is removed later", extra={"id": intent.id})


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"This binary is larger than the {limit} bytes that a gateway takes.")


def _empty() -> InvalidRequest:
    return InvalidRequest("The binary is empty; send the .bin as it is.")
