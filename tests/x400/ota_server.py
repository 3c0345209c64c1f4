"""A server of binaries with the platform's interface for gateways, on a port of its own."""

import asyncio
import base64
import hashlib
import hmac
import math
import re
import ssl
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.x400.gateways import DEVICE_ID, DEVICE_KEY


def public(key: Ed25519PrivateKey) -> str:
    """As it is published, and trusted in a gateway's settings."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def key_id(key: Ed25519PrivateKey) -> str:
    return hashlib.sha256(key.public_key().public_bytes_raw()).hexdigest()[:16]


def published(key: Ed25519PrivateKey, *signers: Ed25519PrivateKey) -> dict[str, Any]:
    """A key as `GET /keys` gives it."""
    message = f"mymote-key-v1\n{public(key)}\n".encode()
    return {
        "id": key_id(key),
        "algorithm": "Ed25519",
        "public_key": public(key),
        "active": True,
        "signed_by": {key_id(s): base64.b64encode(s.sign(message)).decode() for s in signers},
    }


@dataclass
class Served:
    """A request for a binary: where it began, and how many bytes of it went out."""

    job: str
    start: int
    status: int = 0
    sent: int = 0
    over: bool = False


@dataclass
class Trouble:
    """What goes wrong with the next requests; each entry is used once."""

    statuses: list[int] = field(default_factory=list)  # answered instead
    cuts: list[int] = field(default_factory=list)  # drop the connection after so many bytes


class OtaServer:
    """Serves what `order` made."""

    def __init__(self) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.keys = [published(self.key)]
        self.served: list[Served] = []
        self.key_requests = 0
        self.trouble = Trouble()
        self.ranges = True
        self.flowing = asyncio.Event()  # clear it to hold the answers on their way
        self.hold_at = 0.5  # of a binary
        self.flowing.set()
        self._tickets: dict[str, str] = {}  # of each job, the newest
        self._binaries: dict[str, bytes] = {}

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application()
        app.router.add_get("/keys", self._keys)
        app.router.add_get(r"/devices/{device}/jobs/{job}/file", self._file)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        scheme = "https" if tls else "http"
        self.url = f"{scheme}://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        self.flowing.set()
        await self._runner.cleanup()

    def order(
        self, job: str, binary: bytes, kind: str = "app", version: str = "2.0.0", **changes: Any
    ) -> dict[str, Any]:
        """A desired property, with a fresh ticket: those of the job before are worth nothing."""
        self._binaries[job] = binary
        made = hashlib.sha256(f"{job} {time.monotonic_ns()}".encode()).hexdigest()
        ticket = self._tickets[job] = f"{made[:20]}.{made[20:]}"
        order: dict[str, Any] = {
            "job": job,
            "name": "Pump watch",
            "version": version,
            "url": f"{self.url}/devices/{DEVICE_ID}/jobs/{job}/file?ticket={ticket}",
            "size": len(binary),
            "md5": base64.b64encode(hashlib.md5(binary).digest()).decode(),
            "sha256": hashlib.sha256(binary).hexdigest(),
        } | changes
        return {"signature": self.sign(kind, order)} | order

    def sign(self, kind: str, order: dict[str, Any]) -> str:
        lines = (kind, order["name"], order["version"], order["size"], order["sha256"])
        text = "mymote-artifact-v1\n" + "".join(f"{line}\n" for line in lines)
        return base64.b64encode(self.key.sign(text.encode())).decode()

    async def _keys(self, _: web.Request) -> web.Response:
        self.key_requests += 1
        return web.json_response({"keys": self.keys})

    async def _file(self, request: web.Request) -> web.StreamResponse:
        job, binary = request.match_info["job"], self._binaries[request.match_info["job"]]
        if self.trouble.statuses:
            status = self.trouble.statuses.pop(0)
            self.served.append(Served(job, -1, status))
            await self.flowing.wait()
            return web.json_response({"error": "Not now."}, status=status)
        if not self._proven(request, job):
            self.served.append(Served(job, -1, 403))
            return web.json_response({"error": "The ticket is of another device."}, status=403)
        etag = f'"{hashlib.sha256(binary).hexdigest()}"'
        asked = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        part = asked is not None and self.ranges and request.headers.get("If-Range") == etag
        start = int(asked[1]) if asked is not None and part else 0
        served = Served(job, start, 206 if part else 200)
        self.served.append(served)
        response = web.StreamResponse(status=served.status, headers={"ETag": etag})
        response.content_length = len(binary) - start
        if part:
            response.headers["Content-Range"] = f"bytes {start}-{len(binary) - 1}/{len(binary)}"
        await response.prepare(request)
        end = start + self.trouble.cuts.pop(0) if self.trouble.cuts else len(binary)
        held = max(math.ceil(len(binary) * self.hold_at), start)
        try:
            for begin, stop in ((start, min(held, end)), (min(held, end), end)):
                await response.write(binary[begin:stop])
                served.sent += stop - begin
                await self.flowing.wait()
        except ConnectionError:
            return response
        finally:
            served.over = True
        if end < len(binary) and request.transport is not None:
            request.transport.close()
        return response

    def _proven(self, request: web.Request, job: str) -> bool:
        seconds, _, proof = request.headers["X-Device-Proof"].partition(".")
        ticket = request.query["ticket"]
        message = f"{request.method}\n{request.raw_path.partition('?')[0]}\n{ticket}\n{seconds}"
        mine = hmac.new(DEVICE_KEY.encode(), message.encode(), hashlib.sha256).hexdigest()
        near = abs(time.time() - int(seconds)) < 600
        return near and hmac.compare_digest(proof, mine) and ticket == self._tickets[job]
