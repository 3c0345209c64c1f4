"""The AMQP listeners, plain and TLS, and the clock that all connections share."""

import asyncio
import logging
import ssl
import time
from collections.abc import Sequence
from contextlib import suppress

from emulator.amqp.connection import Connection
from emulator.amqp.node import AmqpError, Service
from emulator.store import Store

log = logging.getLogger(__name__)

# What Azure announces: a client that is silent for longer is gone. Seconds.
IDLE_TIMEOUT = 240.0
TICK = 0.5  # clients may want a frame every second
STOP_TIMEOUT = 1.0


class AmqpServer:
    """Serves the addresses of several services on any number of sockets."""

    def __init__(
        self, store: Store, services: Sequence[Service], *, idle_timeout: float = IDLE_TIMEOUT
    ) -> None:
        self._store = store
        self._services = services
        self._idle_timeout = idle_timeout
        self._listeners: list[asyncio.Server] = []
        self._connections: set[Connection] = set()
        self._all_lost = asyncio.Event()
        self._clock: asyncio.Task[None] | None = None

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None) -> int:
        """Accept connections; returns the port, which is chosen where `port` is 0."""
        loop = asyncio.get_running_loop()
        if self._clock is None:
            self._clock = loop.create_task(self._tick())
        listener = await loop.create_server(self._connect, host, port, ssl=tls, backlog=1024)
        self._listeners.append(listener)
        return int(listener.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Close the listeners, then every connection, with a reason."""
        for listener in self._listeners:
            listener.close()
        if self._clock is not None:
            self._clock.cancel()
        for connection in list(self._connections):
            connection.close(AmqpError("amqp:connection:forced", "the emulator is stopping"))
        if self._connections:
            self._all_lost.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_lost.wait(), STOP_TIMEOUT)
        for connection in list(self._connections):
            connection.abort()

    def _connect(self) -> Connection:
        connection = Connection(self._store, self._services, self._idle_timeout, self._lost)
        self._connections.add(connection)
        return connection

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if not self._connections:
            self._all_lost.set()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(min(TICK, self._idle_timeout / 4))
            now = time.monotonic()
            for connection in list(self._connections):
                try:
                    connection.tick(now)
                except Exception:
                    log.exception("amqp: a connection's clock failed")
