"""Fetching a binary over a network that comes and goes: no byte is asked for twice."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import httpx

from x400.backoff import Backoff
from x400.cloud import tls_context
from x400.faults import Fault, Faults
from x400.ota_file import Part
from x400.ota_order import OtaCode, OtaError, OtaOrder
from x400.settings import GatewaySettings
from x400.twin import Json

RETRIED = frozenset({408, 425, 429})  # and 5xx
MOST_RETRY_AFTER = 60.0  # seconds
KEYS_BYTES = 64 * 1024
REFUSAL_BYTES = 4096
CONTENT_RANGE = re.compile(r"bytes (\d{1,15})-\d+/\d+", re.ASCII)


class CutError(Exception):
    """A try ended early; the next one goes on, after `seconds` at least."""

    def __init__(self, why: str, seconds: float = 0) -> None:
        super().__init__(why)
        self.seconds = seconds


class Download:
    """The way to an order's binary. It is tried again and again, with a back-off, and given up
    after `ota_tries` in a row that got no further."""

    def __init__(
        self,
        settings: GatewaySettings,
        order: OtaOrder,
        faults: Faults,
        online: asyncio.Event,
        clock: Callable[[], float],
    ) -> None:
        """`online` is set while there is a network, and waited for."""
        self.order = order
        self._settings = settings
        self._faults = faults
        self._online = online
        self._clock = clock
        self._most = 0  # bytes that were there, ever
        self._readdressed = asyncio.Event()
        self._client = httpx.AsyncClient(
            verify=tls_context(settings.ota_ca_file or settings.ca_file),
            timeout=httpx.Timeout(settings.ota_timeout, connect=settings.connect_timeout),
            headers={"Accept-Encoding": "identity", "User-Agent": "X400"},
            trust_env=False,
        )

    def readdress(self, order: OtaOrder) -> None:
        """Go on with the same order under a fresh address, at once."""
        self.order = order
        self._readdressed.set()

    async def close(self) -> None:
        """Drop the connection."""
        await self._client.aclose()

    async def keys(self) -> Json:
        """The answer of the platform's `GET /keys`. Raises OtaError."""
        answers: list[Json] = []

        async def fetch() -> None:
            url = httpx.URL(self.order.url).join("/keys")
            async with self._get(url, {}) as response:
                answers.append(_object(await _read(response, KEYS_BYTES)))

        await self._persist(fetch)
        return answers[0]

    async def into(self, part: Part, on_percent: Callable[[int], None]) -> None:
        """Fetch what the part lacks. Raises OtaError, OSError, IomoteError."""
        await self._persist(lambda: self._fetch(part, on_percent))

    async def _persist(self, attempt: Callable[[], Awaitable[None]]) -> None:
        settings = self._settings
        backoff = Backoff(settings.backoff_initial, settings.backoff_maximum)
        vain = 0
        while True:
            await self._online.wait()
            self._readdressed.clear()
            before = self._most
            try:
                return await attempt()
            except CutError as cut:
                vain = 0 if self._most > before else vain + 1
                if vain >= settings.ota_tries:
                    why = f"{cut}; {vain} tries in a row got no further"
                    raise OtaError(OtaCode.DOWNLOAD_FAILED, why) from None
                if not vain:
                    backoff.reset()
                with suppress(TimeoutError):
                    async with asyncio.timeout(max(backoff.next(), cut.seconds)):
                        await self._readdressed.wait()
            except OtaError:
                if not self._readdressed.is_set():  # else it was the former ticket that failed
                    raise

    async def _fetch(self, part: Part, on_percent: Callable[[int], None]) -> None:
        order, offset, etag = self.order, part.size, part.etag
        self._most = max(self._most, offset)
        if offset >= order.size:
            return
        headers = order.proof(self._settings.key(), "GET", self._clock())
        if offset and etag:
            headers |= {"Range": f"bytes={offset}-", "If-Range": etag}
        async with self._get(httpx.URL(order.url), headers) as response:
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding != "identity":
                raise CutError(f"the server sent it encoded ({encoding})")
            if response.status_code == 206:
                _check_range(response, offset, part)
            else:
                _check_length(response, order)
                part.restart(order, _strong(response.headers.get("ETag", "")))
            async for chunk in response.aiter_raw():
                self._keep(part, order, chunk)
                on_percent(part.size * 100 // order.size)
                if self._settings.ota_bytes_per_second:
                    await asyncio.sleep(len(chunk) / self._settings.ota_bytes_per_second)
        if part.size < order.size:
            raise CutError("the connection was cut")

    def _keep(self, part: Part, order: OtaOrder, chunk: bytes) -> None:
        if not self._online.is_set():
            raise CutError("the network is gone")
        have = part.size
        if have + len(chunk) > order.size:
            raise OtaError(OtaCode.SIZE_MISMATCH, f"more than {order.size} bytes came")
        fault = self._faults.armed(Fault.CUT_DOWNLOAD)
        end = order.size if fault is None else order.size * fault.at // 100
        room = max(end - have, 0)
        if chunk[:room]:
            part.append(chunk[:room])
            self._most = max(self._most, have + len(chunk[:room]))
        if room < len(chunk):
            self._faults.happens(Fault.CUT_DOWNLOAD)
            raise CutError("the connection was cut")

    @asynccontextmanager
    async def _get(self, url: httpx.URL, headers: dict[str, str]) -> AsyncIterator[httpx.Response]:
        """An answer of 200 or 206. Raises CutError, OtaError."""
        try:
            async with self._client.stream("GET", url, headers=headers) as response:
                await _check_status(response)
                yield response
        except httpx.TimeoutException:
            raise CutError(f"{url.host} does not answer in time") from None
        except httpx.ConnectError as error:
            raise CutError(f"no connection to {url.netloc.decode()}: {error}") from None
        except httpx.HTTPError as error:
            raise CutError(f"the connection was cut ({type(error).__name__})") from None


async def _check_status(response: httpx.Response) -> None:
    status = response.status_code
    if status in {200, 206}:
        return
    if status in RETRIED or status >= 500:
        wait = response.headers.get("Retry-After", "")
        seconds = min(float(wait), MOST_RETRY_AFTER) if wait.isdecimal() else 0
        raise CutError(f"the server answered {status}", seconds)
    sentence = _object(await _read(response, REFUSAL_BYTES)).get("error", "")
    raise OtaError(OtaCode.REFUSED, f"the server answered {status}: {sentence}")


def _check_range(response: httpx.Response, offset: int, part: Part) -> None:
    found = CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
    same = response.headers.get("ETag", part.etag) == part.etag
    if found is None or int(found[1]) != offset or not same:
        part.drop()
        raise CutError("the server sent another part than was asked for")


def _check_length(response: httpx.Response, order: OtaOrder) -> None:
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) != order.size:
        raise OtaError(OtaCode.SIZE_MISMATCH, f"{length} bytes are there, not {order.size}")


def _strong(etag: str) -> str:
    return "" if etag.startswith("W/") else etag


async def _read(response: httpx.Response, most: int) -> bytes:
    body = b""
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            return b""
    return body


def _object(body: bytes) -> Json:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
