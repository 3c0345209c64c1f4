"""Servers of binaries that are broken or mean ill: told as what they are, and got over."""

import asyncio
import gzip
import hashlib
import re
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import repeat
from typing import Any

import pytest

from tests.x400.gateways import DEVICE_ID
from tests.x400.local_hub import Hub
from tests.x400.ota_server import OtaServer
from tests.x400.updates import APP, desire, ends
from x400.gateway import Gateway

HALF = 100_000
ETAG = f'"{hashlib.sha256(APP).hexdigest()}"'


class Canned:
    """A server that answers each request with the next of its answers, then hangs up."""

    def __init__(self) -> None:
        self.answers: Iterator[Iterator[bytes]] = iter(())
        self.requests: list[tuple[str, int]] = []  # path, first byte asked for

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = (await reader.readuntil(b"\r\n\r\n")).decode()
            asked = re.search(r"bytes=(\d+)-", request)
            path = request.split()[1].partition("?")[0]
            self.requests.append((path, int(asked[1]) if asked else 0))
            for piece in next(self.answers):
                writer.write(piece)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()


@pytest.fixture
async def canned() -> AsyncIterator[Canned]:
    server = Canned()
    await server.start()
    yield server
    await server.close()


def answer(status: str, body: bytes = b"", **headers: str) -> list[bytes]:
    lines = {"connection": "close"} | {name.replace("_", "-"): v for name, v in headers.items()}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return [f"HTTP/1.1 {status}\r\n{head}\r\n".encode(), body]


def whole(body: bytes = APP, **headers: str) -> list[bytes]:
    return answer("200 OK", body, etag=ETAG, content_length=str(len(APP)), **headers)


def part(content_range: str, etag: str = ETAG) -> list[bytes]:
    body = APP[HALF:]
    length = str(len(body))
    return answer("206 Part", body, etag=etag, content_length=length, content_range=content_range)


def endless_headers() -> Iterator[bytes]:
    yield b"HTTP/1.1 200 OK\r\n"
    yield from repeat(b"x: " + b"y" * 60_000 + b"\r\n")


CUT = whole(APP[:HALF])
TICKET = f"/devices/{DEVICE_ID}/jobs/j1/file"


def to_canned(server: OtaServer, canned: Canned) -> dict[str, Any]:
    order = server.order("j1", APP)
    return order | {"url": order["url"].replace(server.url, canned.url)}


@pytest.mark.parametrize(
    ("answers", "said", "asked"),
    [
        (
            lambda: [answer("302 Found", location="/elsewhere")],
            "refused: the server answered 302: ",
            [0],
        ),
        (lambda: [answer("403 No", b"[" * 4000)], "refused: the server answered 403: ", [0]),
        (
            lambda: [answer("403 No", b'{"error": "\\ud800 \\u001b[31m"}')],
            "refused: the server answered 403: ? ?[31m",
            [0],
        ),
        (
            lambda: [[*answer("200 OK"), *repeat(bytes(60_000), 10_000)]],
            f"size_mismatch: more than {len(APP)} bytes came",
            [0],
        ),
        (
            lambda: repeat(whole(gzip.compress(APP), content_encoding="gzip")),
            "download_failed: the server sent it encoded (gzip)",
            [0] * 3,
        ),
        (lambda: repeat(endless_headers()), "download_failed: the connection was cut", [0] * 3),
    ],
)
async def test_it_is_told_what_the_server_did(
    hub: Hub,
    server: OtaServer,
    updated: Gateway,
    canned: Canned,
    answers: Callable[[], Any],
    said: str,
    asked: list[int],
) -> None:
    canned.answers = iter(answers())
    desire(hub, to_canned(server, canned))
    assert (await ends(hub, "j1", "failed")).startswith(said)
    assert canned.requests == [(TICKET, start) for start in asked]
    assert sum(file.stat().st_size for file in updated.settings.state.glob("*.bin")) <= len(APP)
    updated.app.sendMessage("all is well")
    await hub.until_last(b"all is well")


@pytest.mark.parametrize(
    "wrong",
    [
        part(f"bytes {HALF - 1}-{len(APP) - 1}/{len(APP)}"),
        part(f"bytes {'9' * 5000}-{len(APP) - 1}/{len(APP)}"),
        part("all of it"),
        part(f"bytes {HALF}-{len(APP) - 1}/{len(APP)}", '"another"'),
    ],
)
async def test_a_wrong_part_is_not_joined_to_what_is_there(
    hub: Hub, server: OtaServer, updated: Gateway, canned: Canned, wrong: list[bytes]
) -> None:
    canned.answers = iter(map(iter, [CUT, wrong, whole()]))
    desire(hub, to_canned(server, canned))
    assert await ends(hub, "j1", "succeeded") == ""
    assert canned.requests == [(TICKET, 0), (TICKET, HALF), (TICKET, 0)]
