"""How files are sent: memory that slow readers cannot fill, what is logged, what ends early."""

import asyncio
import hashlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import Message, Send

from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources as ApiResources
from services.ota.logic.chunks import CHUNK_BYTES, Blob, Chunks
from services.ota.logic.downloads import File
from services.ota.logic.places import Places
from services.ota.logic.ranges import Part
from services.ota.logic.refusals import Concerned
from services.ota.resources import Resources
from services.ota.routes import sending
from services.ota.store.blob_reading import BlobReading, Tampered
from shared.errors import Unavailable
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.ingest.local_platform import eventually
from tests.load.process import memory_mib
from tests.log_lines import log_lines
from tests.ota.served_files import (
    Served,
    now,
    order,
    records,
    serve_app,
    serve_firmware,
    store_blob,
)

MIB = 1024 * 1024
LARGE = hashlib.shake_256(b"firmware").digest(4 * MIB)
SLOW_READERS = 60


@pytest.fixture(scope="module")
async def large(ota: Resources) -> Served:
    return await serve_firmware(ota, LARGE)


async def test_slow_readers_do_not_fill_the_memory(stack: LocalStack, large: Served) -> None:
    """Whole files in memory would take 240 MiB, and buffers without back-pressure 120 MiB."""
    pid = stack.processes["ota"].pid
    (await _slow_reader(stack, large, 0)).close()
    before = memory_mib(pid)
    step = len(LARGE) // 2 // SLOW_READERS  # each wants other chunks, 2 MiB at least
    readers = await asyncio.gather(
        *(_slow_reader(stack, large, number * step) for number in range(SLOW_READERS))
    )
    peak = before
    for _ in range(10):
        await asyncio.sleep(0.05)
        peak = max(peak, memory_mib(pid))
    for reader in readers:
        reader.close()
    assert peak - before < 40  # 16 of them are for chunks that are kept


async def _slow_reader(stack: LocalStack, served: Served, first: int) -> socket.socket:
    headers = {"X-Download-Key": served.key, "Range": f"bytes={first}-"}
    return await _requested(stack, served.path, headers)


async def _requested(stack: LocalStack, path: str, headers: Mapping[str, str]) -> socket.socket:
    """Takes the head of the reply and some bytes, and no more."""
    loop = asyncio.get_running_loop()
    reader = socket.socket()
    reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader.setblocking(False)
    await loop.sock_connect(reader, (stack.settings.bind, stack.settings.ota_port))
    lines = [f"GET {path} HTTP/1.1", "Host: x", *(f"{n}: {v}" for n, v in headers.items()), "", ""]
    await loop.sock_sendall(reader, "\r\n".join(lines).encode())
    assert (await loop.sock_recv(reader, 1024)).startswith(b"HTTP/1.1 20")
    return reader


async def test_the_log_tells_the_bytes_that_were_sent_and_no_secret(
    stack: LocalStack,
    gateways: httpx.AsyncClient,
    resources: ApiResources,
    ota: Resources,
    alice: Customer,
    pump: Manufactured,
    large: Served,
) -> None:
    ordered = await order(resources, ota, large, alice, pump)
    ticket, job = {"ticket": ordered.ticket}, ordered.job.id
    path = f"{ordered.path}?ticket={ordered.ticket}"
    reader = await _requested(stack, path, ordered.headers())
    for _ in range(10):
        await asyncio.get_running_loop().sock_recv(reader, 1024)
    reader.close()  # hangs up
    cut = await eventually(_logged(stack, job, lambda line: line["first_byte"] == 0))
    assert (cut["status"], cut["device_id"]) == (200, pump.device_id)
    assert 0 < cut["bytes"] < len(LARGE)
    headers = {**ordered.headers(), "Range": f"bytes={3 * MIB}-"}
    await gateways.get(ordered.path, params=ticket, headers=headers)
    rest = await eventually(_logged(stack, job, lambda line: line["first_byte"] > 0))
    assert (rest["status"], rest["first_byte"], rest["bytes"]) == (206, 3 * MIB, MIB)
    text = stack.log_file("ota").read_text()
    assert ordered.ticket not in text
    assert "ticket=" not in text
    assert large.key not in text


def _logged(stack: LocalStack, job_id: str, wanted: Callable[[dict[str, Any]], bool]) -> Any:
    async def look() -> dict[str, Any] | None:
        found = log_lines(stack.log_file("ota"), job_id)
        return next((line for line in found if "first_byte" in line and wanted(line)), None)

    return look


async def test_a_blob_that_is_changed_under_way_cuts_the_download_off(
    stack: LocalStack, ota: Resources, alice: Customer
) -> None:
    content = LARGE * 2  # the system alone may take 4 MiB of it
    served = await serve_app(ota, alice.user_id, content)
    loop = asyncio.get_running_loop()
    reader = await _slow_reader(stack, served, 0)
    began = now()
    await store_blob(ota, served.filepath, bytes(len(content)))
    received = bytearray()
    async with asyncio.timeout(60):
        while some := await loop.sock_recv(reader, 65536):
            received += some
    reader.close()
    assert len(received) < len(content)
    assert received in content  # nothing of the changed blob
    assert len(await records(ota, alice.user_id, "tamperedBlob", began)) == 1


async def test_chunks_are_read_once_and_forgotten_in_time() -> None:
    reads: list[int] = []
    go = asyncio.Event()

    async def read(_blob: Blob, first: int, length: int) -> bytes:
        await go.wait()
        reads.append(first)
        return LARGE[first : first + length]

    blob = Blob("b", "e", 5 * CHUNK_BYTES + 3)
    chunks = Chunks(read, kept_bytes=2 * CHUNK_BYTES)

    async def take(part: Part) -> bytes:
        return b"".join([bytes(piece) async for piece in chunks.stream(blob, part)])

    part = Part(CHUNK_BYTES - 2, CHUNK_BYTES + 4)
    first, *others = [asyncio.create_task(take(part)) for _ in range(20)]
    await asyncio.sleep(0)
    first.cancel()  # whoever asked first hangs up
    go.set()
    assert await asyncio.gather(*others) == [LARGE[part.first : part.first + part.length]] * 19
    assert reads == [0, CHUNK_BYTES, 2 * CHUNK_BYTES]
    assert await take(Part(CHUNK_BYTES, CHUNK_BYTES)) == LARGE[CHUNK_BYTES : 2 * CHUNK_BYTES]
    assert len(reads) == 3  # the last two are kept
    assert await take(Part(0, blob.size)) == LARGE[: blob.size]
    # The one that was asked for last was still there.
    assert [first // CHUNK_BYTES for first in reads[3:]] == [0, 2, 3, 4, 5]


async def test_a_read_that_fails_fails_for_all_and_is_tried_anew() -> None:
    answers = [b"", b"right"]

    async def read(_blob: Blob, _first: int, _length: int) -> bytes:
        await asyncio.sleep(0)
        if not (answer := answers.pop(0)):
            raise OSError("storage is away")
        return answer

    chunks = Chunks(read)

    async def take() -> bytes:
        return b"".join(
            [bytes(each) async for each in chunks.stream(Blob("b", "e", 5), Part(0, 5))]
        )

    results = await asyncio.gather(take(), take(), return_exceptions=True)
    assert [type(each) for each in results] == [OSError, OSError]
    assert await take() == b"right"


async def test_more_downloads_than_there_is_memory_for_are_told_to_wait(ota: Resources) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    app = _with_one_place(ota)
    downloads = (_download(app, send) for _ in range(3))
    results = await asyncio.gather(*downloads, return_exceptions=True)
    assert [type(each) for each in results] == [type(None), Unavailable, Unavailable]
    assert [each["type"] for each in sent].count("http.response.start") == 1
    await _download(app, send)  # the place is free again


async def test_a_reader_that_takes_nothing_gives_its_place_up(
    ota: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def stuck(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    monkeypatch.setattr(sending, "STALLED_SECONDS", 0.01)
    app = _with_one_place(ota)
    async with asyncio.timeout(30):
        for _ in range(2):
            await _download(app, stuck)


def _with_one_place(ota: Resources) -> Starlette:
    async def read(_blob: Blob, _first: int, length: int) -> bytes:
        await asyncio.sleep(0)
        return bytes(length)

    app = Starlette()
    narrow = replace(ota.downloads, chunks=Chunks(read), places=Places(1, 2, 1))
    app.state.resources = replace(ota, downloads=narrow)
    return app


async def _download(app: Starlette, send: Send) -> None:
    async def receive() -> Message:
        await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "app": app})
    request.state.logged = {"bytes": 0}
    file = File(Blob("b", "e", 5), "", "", Concerned(""))
    made = sending.Sending(request, file, Part(0, 5), 200, {})
    await asyncio.sleep(0)  # who comes at the same time is made now
    await made(request.scope, receive, send)


async def test_a_blob_that_is_shorter_than_its_document_says_ends_the_reading(
    ota: Resources,
) -> None:
    etag = await store_blob(ota, "apps/short/short.bin", b"short")
    reading = BlobReading(ota.azure.blob.get_container_client(ota.settings.ota_container))
    for blob in (Blob("apps/short/short.bin", etag, 20), Blob("apps/short/short.bin", "", 5)):
        with pytest.raises(Tampered):  # and nobody knows what was stored without an ETag
            await reading.read(blob, 0, blob.size)
