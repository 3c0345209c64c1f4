"""What interrupts an upload where nothing can be taken back: a kill, a silent database."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.ota.logic import apps, firmware
from services.ota.logic.apps import NewVersion
from services.ota.logic.firmware import NewFirmware
from services.ota.logic.uploads import BLOCK_BYTES, Incoming, sweep
from services.ota.resources import Resources
from services.ota.store.apps import Added, Apps, Held
from services.ota.store.blobs import Blobs
from services.ota.store.firmware import Firmware
from shared.errors import Unavailable
from shared.schemas.artifacts import AppDocument, AppVersionDocument, FirmwareDocument
from stack.local import LocalStack
from tests.free_ports import free_ports
from tests.known_secrets import keep
from tests.ota.artifact_calls import (
    BASE,
    USER,
    blobs_of,
    make_app,
    nothing_is_left,
    until,
    uploaded,
)
from tests.ota.conftest import SHORT

TWO_HOURS = timedelta(hours=2)
BODY = bytes(BLOCK_BYTES)


@pytest.fixture
async def app(ota_client: httpx.AsyncClient) -> AppDocument:
    return await make_app(ota_client)


async def test_what_a_killed_process_leaves_goes_with_the_next_sweep(
    stack: LocalStack, ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    """One upload is half-way when it is killed; the other one is a blob, and no document yet."""
    kept = await uploaded(ota_client, app, BODY, version="0.9.0")
    before = await blobs_of(ota, f"apps/{USER}/")
    await stack.start_service("ota-2", port=free_ports(1)[0], extra=SHORT)
    await stack.wait_ready("ota-2")
    half = await _begin(stack, "/internal/firmware?type=X400&version=9.9.9", 2 * len(BODY))
    nearly = await _begin(stack, f"{BASE}/{app.id}/versions?version=1.0.0", len(BODY))

    async def kinds() -> set[str]:
        return set(await _begun(ota))

    await until(kinds, {"app", "firmware"})
    paths = await _begun(ota)
    half.write(BODY)
    await until(lambda: blobs_of(ota, paths["firmware"]), {paths["firmware"]})
    azure = stack.processes["azure"]
    azure.pause()  # the database; Blob Storage is a process of its own
    try:
        nearly.write(BODY)
        await until(ota.stores.blobs.container.get_blob_client(paths["app"]).exists, True)
        await stack.processes["ota-2"].kill()
    finally:
        azure.resume()
    for writer in (half, nearly):
        writer.close()

    assert await sweep(ota.stores) == 0  # for all that others know it goes on still
    assert await _begun(ota) == paths
    assert [each.version for each in await ota.stores.apps.versions(USER, app.id)] == [kept]
    assert await sweep(ota.stores, datetime.now(UTC) + TWO_HOURS) == 2
    assert await blobs_of(ota, paths["firmware"]) == set()
    await nothing_is_left(ota, app, before)
    await uploaded(ota_client, app, BODY)  # its number is free


async def _begin(stack: LocalStack, path: str, size: int) -> asyncio.StreamWriter:
    """An upload to the second process, of which the head alone is sent."""
    host, port = stack.url("ota-2").removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    head = (
        f"POST {path} HTTP/1.1\r\nHost: ota\r\nContent-Length: {size}\r\n"
        f"Authorization: Bearer {stack.endpoints.keys.ota}\r\n"
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    writer.write(head.encode())
    return writer


async def _begun(ota: Resources) -> dict[str, str]:
    """Blobs' names of all that is on its way, by kind."""
    found = await ota.stores.uploads.begun_before(moment := datetime.now(UTC) + TWO_HOURS, moment)
    return {upload.kind: upload.filepath for upload, _ in found}


@dataclass(frozen=True)
class SilentApps(Apps):
    """Writes, and then loses the reply, so often."""

    times: list[None]

    async def add(self, held: Held, version: AppVersionDocument) -> Added:
        added = await super().add(held, version)
        if self.times:
            self.times.pop()
            raise Unavailable("silent")
        return added


@dataclass(frozen=True)
class SilentFirmware(Firmware):
    """Writes, and then loses the reply, once."""

    times: list[None]

    async def add(self, firmware: FirmwareDocument) -> bool:
        added = await super().add(firmware)
        if self.times:
            self.times.pop()
            raise Unavailable("silent")
        return added


def incoming() -> Incoming:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"x"

    return Incoming(chunks(), None, None, 10)


async def test_a_version_whose_reply_was_lost_is_found_kept(
    ota: Resources, app: AppDocument
) -> None:
    stores = replace(ota.stores, apps=SilentApps(ota.stores.apps.container, [None]))
    new = NewVersion(USER, app.id, "1.0.0", "", "")
    made = await apps.upload(stores, ota.signer, new, incoming())
    keep(made.download_key)
    held = await ota.stores.apps.version(USER, new.id)
    assert held is not None
    assert held.version == made
    assert await _begun(ota) == {}


async def test_a_firmware_whose_reply_was_lost_is_found_kept(ota: Resources) -> None:
    store = SilentFirmware(ota.stores.firmware.container, [None])
    new = NewFirmware("X450", "9.9.8", "silent.bin", "")
    made = await firmware.upload(replace(ota.stores, firmware=store), ota.signer, new, incoming())
    keep(made.download_key)
    held = await ota.stores.firmware.get(new.id)
    assert held is not None
    assert held.firmware == made
    await firmware.delete(ota.stores, new.id)


async def test_what_may_have_been_kept_is_said_to_be_so_and_not_taken_back(
    ota: Resources, app: AppDocument
) -> None:
    stores = replace(ota.stores, apps=SilentApps(ota.stores.apps.container, [None, None]))
    new = NewVersion(USER, app.id, "1.0.0", "", "")
    with pytest.raises(Unavailable, match="may have been kept"):
        await apps.upload(stores, ota.signer, new, incoming())
    held = await ota.stores.apps.version(USER, new.id)
    assert held is not None
    keep(held.version.download_key)
    assert await sweep(ota.stores, datetime.now(UTC) + TWO_HOURS) == 1
    assert await blobs_of(ota, new.filepath) == {new.filepath}


class LikeAzure(Blobs):
    """A blob that has blocks alone is not found when it is deleted; Azurite does delete it."""

    async def _delete(self, filepath: str) -> bool:
        if not await self.container.get_blob_client(filepath).exists():
            return False
        return await super()._delete(filepath)


async def test_blocks_that_were_never_committed_are_removed(ota: Resources) -> None:
    path = f"apps/{USER}/blocks.bin"
    for blobs in (ota.stores.blobs, LikeAzure(ota.stores.blobs.container)):
        await blobs.stage(path, 0, b"half")
        assert await blobs_of(ota, path) == {path}
        await blobs.discard(path)
        assert await blobs_of(ota, path) == set()
        await blobs.discard(path)  # again, and nothing happens
