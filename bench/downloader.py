"""Many readers of one file in a process of its own: through the OTA service, or with the SDK.

Both use aiohttp underneath, read the whole file and compare its hash.
"""

import asyncio
import hashlib
import json
import sys
import time
from dataclasses import asdict, dataclass

import aiohttp
import uvloop
from azure.storage.blob.aio import BlobServiceClient

SECONDS = 120.0
PIECE = 64 * 1024


@dataclass(frozen=True)
class Reading:
    """What to read, all at once: these requests, or (without any) the blob `at_once` times."""

    sha256: str
    requests: list[tuple[str, dict[str, str]]]  # URL and headers
    blob: str = ""  # connection string
    container: str = ""
    name: str = ""
    at_once: int = 0


@dataclass(frozen=True)
class Took:
    """Wall time in seconds: of all together, and until the slowest and the first were done."""

    seconds: float
    first: float


class Wrong(Exception):
    """A reader did not get the file."""


async def run(reading: Reading) -> Took:
    """Read. Raises Wrong, and TimeoutError after two minutes."""
    async with asyncio.timeout(SECONDS):
        if reading.requests:
            return await _over_http(reading)
        return await _with_the_sdk(reading)


async def _over_http(reading: Reading) -> Took:
    done: list[float] = []

    async def one(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        digest = hashlib.sha256()
        async with session.get(url, headers=headers) as reply:
            async for piece in reply.content.iter_chunked(PIECE):
                digest.update(piece)
        _check(reading, digest.hexdigest(), f"status {reply.status}")
        done.append(time.perf_counter())

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        began = time.perf_counter()
        await asyncio.gather(*(one(session, *each) for each in reading.requests))
    return Took(max(done) - began, min(done) - began)


async def _with_the_sdk(reading: Reading) -> Took:
    done: list[float] = []
    async with BlobServiceClient.from_connection_string(reading.blob) as client:
        blob = client.get_blob_client(reading.container, reading.name)

        async def one() -> None:
            stream = await blob.download_blob()
            _check(reading, hashlib.sha256(await stream.readall()).hexdigest(), "the SDK")
            done.append(time.perf_counter())

        began = time.perf_counter()
        await asyncio.gather(*(one() for _ in range(reading.at_once)))
    return Took(max(done) - began, min(done) - began)


def _check(reading: Reading, sha256: str, how: str) -> None:
    if sha256 != reading.sha256:
        raise Wrong(f"a reader got another file: {how}")


def main() -> None:
    """Do the reading that stands on the input."""
    reading = Reading(**json.load(sys.stdin))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(run(reading)))))


if __name__ == "__main__":
    main()
