"""The connection to the cloud: kept up, renewed before its token expires, retried with care."""

import asyncio
import logging
import math
import random
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Protocol

from paho.mqtt.client import MQTTMessage

from x400.backoff import Backoff
from x400.credentials import DeviceCredentials
from x400.link import Address, Link, LinkError, NetworkDownError
from x400.settings import GatewaySettings
from x400.status import NetStatus

STEADY_SECONDS = 30.0  # a connection that lasted this long was a good one

log = logging.getLogger(__name__)


class Session(Protocol):
    """What uses a connection while it lasts."""

    def topics(self, device_id: str) -> list[str]:
        """What to subscribe to."""

    def receive(self, link: Link, message: MQTTMessage) -> None:
        """A message of the hub; it may come before `run`, from the persistent session."""

    async def run(self, link: Link, on_ready: Callable[[], None]) -> None:
        """Use the connection until it closes or this is cancelled; tell when it is in use."""

    async def drain(self) -> None:
        """Send nothing new and wait for what is in flight."""

    def dropped(self) -> None:
        """The connection is gone."""

    def progress(self) -> int:
        """A number that grows with each message that the hub took."""


class Cloud:
    """Holds one connection at a time, while the network is plugged and the cloud enabled."""

    def __init__(
        self,
        settings: GatewaySettings,
        credentials: DeviceCredentials,
        session: Session,
        on_status: Callable[[NetStatus], None],
    ) -> None:
        self.credentials = credentials
        self.status = NetStatus.NETWORK_CONNECTING
        self.attempts = 0  # to connect
        self.connections = 0  # that the hub accepted
        self._settings = settings
        self._session = session
        self._on_status = on_status
        self._backoff = Backoff(settings.backoff_initial, settings.backoff_maximum)
        self._plugged = True
        self._enabled = True
        self._closing = False
        self._link: Link | None = None
        self._changed = asyncio.Event()

    @property
    def plugged(self) -> bool:
        """Whether the network cable is in."""
        return self._plugged

    def set_plugged(self, plugged: bool) -> None:
        """Pull the network cable, or put it back."""
        if plugged != self._plugged:
            self._plugged = plugged
            self._set_status(NetStatus.NETWORK_CONNECTING if plugged else NetStatus.NETWORK_ERROR)
            self.restart("the network is unplugged")

    def set_enabled(self, enabled: bool) -> None:
        """Allow or forbid the connection to the cloud."""
        if enabled != self._enabled:
            self._enabled = enabled
            self.restart("the app disabled the cloud")

    def restart(self, why: str) -> None:
        """Cut the connection, forget the back-off and look again at what is wanted."""
        self._backoff.reset()
        self._changed.set()
        if self._link is not None:
            self._link.abort(why)

    async def run(self) -> None:
        """Keep the connection up until closed, or cancelled: it is then cut without a word."""
        await self._bring_network_up()
        while not self._closing:
            self._changed.clear()
            if not self._plugged or not self._enabled:
                if self._plugged:
                    self._set_status(NetStatus.CLOUD_DISCONNECTED)
                await self._changed.wait()
                await self._bring_network_up()
                continue
            began, took = time.monotonic(), self._session.progress()
            renew = False
            try:
                renew = await self._connect()
            except NetworkDownError as error:
                log.warning("%s: %s", self.credentials.device_id, error)
                self._set_status(NetStatus.NETWORK_ERROR)
            except LinkError as error:
                log.warning("%s: %s", self.credentials.device_id, error)
                if self._plugged:
                    self._set_status(NetStatus.CLOUD_DISCONNECTED)
            steady = time.monotonic() - began >= STEADY_SECONDS
            if steady or self._session.progress() > took:
                self._backoff.reset()
            if not renew and not self._closing:
                await self._pause()

    async def close(self) -> None:
        """Let what is in flight arrive, then say DISCONNECT; `run` ends then."""
        self._closing = True
        if self._link is not None:
            await self._session.drain()
            await self._link.close()

    async def _connect(self) -> bool:
        """Connect and serve the session. True: the token is about to expire, connect anew."""
        settings = self._settings
        tls = None if settings.plain else tls_context(settings.ca_file)
        port = settings.hub_port(self.credentials)
        address = Address(
            self.credentials.host, port, tls, settings.keep_alive, settings.connect_timeout
        )
        down = self.status is NetStatus.NETWORK_ERROR
        self._set_status(NetStatus.NETWORK_CONNECTING if down else NetStatus.CLOUD_CONNECTING)
        self.attempts += 1
        link = self._link = Link(self.credentials.device_id, self._session.receive)
        try:
            token = self.credentials.sas_token(math.ceil(time.time() + settings.sas_ttl))
            await link.open(address, self.credentials.username, token)
            if self._changed.is_set():
                return False
            await link.subscribe(self._session.topics(link.device_id))
            self.connections += 1
            log.info("%s: connected to %s:%d", self.credentials.device_id, address.host, port)
            return await self._serve(link)
        finally:
            self._link = None
            link.abort("done")
            self._session.dropped()

    async def _serve(self, link: Link) -> bool:
        # Renewed at 75 to 85 % of the token's life, so that a fleet does not renew at once.
        lifetime = self._settings.sas_ttl * random.uniform(0.75, 0.85)  # noqa: S311
        ready = partial(self._set_status, NetStatus.CLOUD_CONNECTED)
        serving = asyncio.ensure_future(self._session.run(link, ready))
        try:
            waiting: set[asyncio.Future[Any]] = {serving, link.closed}
            await asyncio.wait(waiting, timeout=lifetime, return_when=asyncio.FIRST_COMPLETED)
            if link.closed.done():
                raise LinkError(link.closed.result())
            if serving.done():
                serving.result()
                raise LinkError("the session ended")
            log.debug("%s: renewing the token", self.credentials.device_id)
            await self._session.drain()
            await link.close()
            return True
        finally:
            serving.cancel()
            await asyncio.wait({serving})

    async def _bring_network_up(self) -> None:
        if self._plugged:
            self._set_status(NetStatus.NETWORK_CONNECTING)
            await asyncio.sleep(self._settings.network_delay)

    async def _pause(self) -> None:
        """Wait for the back-off, or for a change that makes another attempt worth it."""
        if self._changed.is_set():
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(self._backoff.next()):
                await self._changed.wait()

    def _set_status(self, status: NetStatus) -> None:
        if status is not self.status:
            self.status = status
            self._on_status(status)


@lru_cache
def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """One context for all gateways of the process: each costs 14 ms and half a megabyte.

    Raises ValueError where the CA file cannot be used.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one, too
        raise ValueError(f"cannot use {ca_file} as CA file: {error.strerror}") from None
