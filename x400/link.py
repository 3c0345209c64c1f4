"""One MQTT 3.1.1 connection to IoT Hub: paho-mqtt's client on the asyncio loop.

A link lives as long as its connection and is then thrown away: what was in flight is sent
again from the store, in order, over the next one. paho keeps no message that the store does
not have.
"""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from paho.mqtt.client import (
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
)
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike

CLOSE_SECONDS = 1.0
SUBSCRIBE_SECONDS = 20.0


@dataclass(frozen=True)
class Address:
    """Where the hub listens; `tls` is None for plain MQTT."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    keep_alive: int  # seconds
    timeout: float  # seconds to connect, and again to be accepted


class LinkError(Exception):
    """The connection was refused or lost."""


class NetworkDownError(LinkError):
    """There is no way to the hub: no route, no name."""


class Link:
    """A connection in use. Every method must be called on the event loop."""

    def __init__(self, device_id: str, on_message: Callable[["Link", MQTTMessage], None]) -> None:
        self.device_id = device_id
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[str] = self._loop.create_future()  # why it ended
        self._connected: asyncio.Future[None] = self._loop.create_future()
        self._subscribed: dict[int, asyncio.Future[bool]] = {}
        self._published: dict[int, Callable[[], None]] = {}
        self._deliver = on_message
        self._timer: asyncio.TimerHandle | None = None
        self._client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=device_id,
            clean_session=False,
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,
            manual_ack=True,
        )
        self._client.max_inflight_messages_set(0)  # the window is bounded by `Delivery`
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message

    async def open(self, address: Address, username: str, password: str) -> None:
        """Connect and wait to be accepted. Raises LinkError, NetworkDownError."""
        self._client.username_pw_set(username, password)
        self._client.connect_timeout = address.timeout
        if address.tls is not None:
            self._client.tls_set_context(address.tls)
        # paho resolves, connects and shakes hands in blocking calls.
        connecting = self._loop.run_in_executor(
            None, self._client.connect, address.host, address.port, address.keep_alive
        )
        try:
            await asyncio.shield(connecting)
        except asyncio.CancelledError:
            connecting.add_done_callback(self._give_up)
            raise
        except ssl.SSLError as error:
            raise LinkError(f"TLS failed: {error.reason or error}") from error
        except ConnectionError as error:
            raise LinkError(f"nothing accepts at {address.host}:{address.port}") from error
        except TimeoutError as error:
            raise LinkError(f"{address.host}:{address.port} does not answer") from error
        except OSError as error:
            raise NetworkDownError(f"no way to {address.host}: {error.strerror}") from error
        if self.closed.done():  # cut while it connected
            self.abort("cut")
            raise LinkError(self.closed.result())
        self._watch()
        await self._wait_for(self._connected, address.timeout)
        if not self._connected.done():
            self.abort("the hub did not accept the connection in time")
            raise LinkError(self.closed.result())
        self._connected.result()

    def publish(
        self, topic: str, body: bytes, acknowledged: Callable[[], None] | None = None
    ) -> None:
        """Send with QoS 1 and call back on PUBACK; nothing is called once the link is closed."""
        if self.closed.done():
            return
        info = self._client.publish(topic, body, qos=1)
        if acknowledged is not None:
            self._published[info.mid] = acknowledged

    async def subscribe(self, topics: list[str]) -> None:
        """Subscribe with QoS 1. Raises LinkError where the hub refuses one or goes away."""
        _, mid = self._client.subscribe([(topic, 1) for topic in topics])
        if mid is None:
            raise LinkError("the connection is lost")
        granted: asyncio.Future[bool] = self._loop.create_future()
        self._subscribed[mid] = granted
        await self._wait_for(granted, SUBSCRIBE_SECONDS)
        if not granted.done():
            self.abort("the hub did not answer the subscription in time")
            raise LinkError(self.closed.result())
        if not granted.result():
            raise LinkError("the hub refused a subscription")

    def acknowledge(self, message: MQTTMessage) -> None:
        """Send PUBACK for a message of the cloud."""
        if not self.closed.done() and message.qos:
            self._client.ack(message.mid, message.qos)

    async def close(self) -> None:
        """Send DISCONNECT after everything queued, then close."""
        if not self.closed.done():
            self._client.disconnect()
            await asyncio.wait({self.closed}, timeout=CLOSE_SECONDS)
        self.abort("closed")

    def abort(self, why: str) -> None:
        """Cut the connection without a word to the hub."""
        socket = self._client.socket()
        self._unwatch(socket)
        if socket is not None:
            socket.close()
        self._end(why)

    def _give_up(self, connecting: asyncio.Future[MQTTErrorCode]) -> None:
        connecting.exception()
        self.abort("cancelled")

    def _watch(self) -> None:
        socket = self._client.socket()
        if socket is None:
            self._end("the connection is lost")
            return
        client = self._client
        self._loop.add_reader(socket, self._readable)
        client.on_socket_register_write = self._want_write
        client.on_socket_unregister_write = self._want_no_write
        client.on_socket_close = lambda _c, _u, s: self._unwatch(s)
        if client.want_write():
            client.loop_write()
        self._tick()

    def _want_write(self, _c: Client, _u: object, socket: "SocketLike") -> None:
        self._loop.add_writer(socket, self._client.loop_write)

    def _want_no_write(self, _c: Client, _u: object, socket: "SocketLike") -> None:
        self._loop.remove_writer(socket)

    def _unwatch(self, socket: "SocketLike | None") -> None:
        self._client.on_socket_register_write = None
        self._client.on_socket_unregister_write = None
        self._client.on_socket_close = None
        if self._timer is not None:
            self._timer.cancel()
        if socket is not None and socket.fileno() >= 0:
            self._loop.remove_reader(socket)
            self._loop.remove_writer(socket)

    def _readable(self) -> None:
        while True:
            self._client.loop_read()
            socket = self._client.socket()
            # TLS may hold decrypted bytes that no longer make the socket readable.
            if not isinstance(socket, ssl.SSLSocket) or not socket.pending():
                return

    def _tick(self) -> None:
        self._timer = self._loop.call_later(1, self._tick)
        self._client.loop_misc()

    async def _wait_for(self, answer: asyncio.Future[Any], seconds: float) -> None:
        """Return when the hub answered, the link closed or the time is up."""
        waiting: set[asyncio.Future[Any]] = {answer, self.closed}
        await asyncio.wait(waiting, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)

    def _end(self, why: str) -> None:
        if not self.closed.done():
            self.closed.set_result(why)

    def _on_connect(
        self, _c: Client, _u: object, _f: ConnectFlags, reason: ReasonCode, _p: Properties | None
    ) -> None:
        if self._connected.done():
            return
        if reason.is_failure:
            text = f"the hub refused the gateway ({reason}): is it registered, is its key right?"
            self._connected.set_exception(LinkError(text))
        else:
            self._connected.set_result(None)

    def _on_disconnect(
        self, _c: Client, _u: object, _f: DisconnectFlags, reason: ReasonCode, _p: object
    ) -> None:
        self._end(f"the connection ended: {reason}")

    def _on_subscribe(
        self, _c: Client, _u: object, mid: int, reasons: list[ReasonCode], _p: object
    ) -> None:
        granted = self._subscribed.pop(mid, None)
        if granted is not None and not granted.done():
            granted.set_result(not any(reason.is_failure for reason in reasons))

    def _on_publish(self, _c: Client, _u: object, mid: int, _r: ReasonCode, _p: Properties) -> None:
        acknowledged = self._published.pop(mid, None)
        if acknowledged is not None:
            # Not from inside paho's callback, which holds its locks.
            self._loop.call_soon(acknowledged)

    def _on_message(self, _c: Client, _u: object, message: MQTTMessage) -> None:
        self._loop.call_soon(self._deliver, self, message)
