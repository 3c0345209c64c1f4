"""One AMQP connection: protocol headers, frames, sessions, and what is written back."""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, cast

from emulator.amqp import sasl
from emulator.amqp.attach import authorize, one_line
from emulator.amqp.authorization import Authorization
from emulator.amqp.codec import DecodeError
from emulator.amqp.frames import (
    AMQP_HEADER,
    EMPTY_FRAME,
    FRAME_TYPE_AMQP,
    FRAME_TYPE_SASL,
    HEADER_SIZE,
    MAX_FRAME_SIZE,
    SASL_HEADER,
    Frame,
    Performative,
    error,
    frame,
    frame_size,
    parse,
)
from emulator.amqp.node import AmqpError, Service
from emulator.amqp.session import Session, SessionError
from emulator.amqp.settlement import Settlement
from emulator.amqp.types import UInt, UShort
from emulator.store import Store

log = logging.getLogger(__name__)

CHANNEL_MAX = 255
MIN_FRAME_SIZE = 512  # part 2 §2.7.1: what every peer must take
# Seconds that a connection may take from its first byte to its open, and after its close.
OPEN_TIMEOUT = 30
CLOSE_TIMEOUT = 2
# Bytes that wait for a slow reader: from the first on sources stop, from the second on nothing
# more is read from that client, whose requests would only add to it.
PAUSE_SOURCES = 1 << 20
PAUSE_READING = 4 << 20
# Frames are joined up to this size before the socket gets them.
WRITE_SIZE = 1 << 18


class Connection(asyncio.Protocol):
    """The server's side of one connection. Bad input closes it and touches no other."""

    def __init__(
        self,
        store: Store,
        services: Sequence[Service],
        idle_timeout: float,
        on_lost: Callable[["Connection"], None],
    ) -> None:
        self.store = store
        self.settlement = Settlement(store)
        self.authorization = Authorization(services)
        self.max_frame_size = MIN_FRAME_SIZE
        self.writable = True
        self._swamped = False  # too much waits to be written for more to be read
        self._services = services
        self._idle_timeout = idle_timeout
        self._on_lost = on_lost
        self._transport: asyncio.Transport | None = None
        self._peer = "?"
        self._buffer = b""
        self._out: list[bytes] = []
        self._out_size = 0
        self._flush_scheduled = False
        self._sessions: dict[int, Session] = {}
        self._expects_header = True
        self._sasl_done = False
        self._opened = False
        self._closing = False
        self._requests: set[asyncio.Task[None]] = set()
        self._began = self._received = self._sent = time.monotonic()
        self._heartbeat: float | None = None  # seconds within which the client wants a frame

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        self._peer = str(transport.get_extra_info("peername"))
        self._transport.set_write_buffer_limits(high=PAUSE_SOURCES)

    def data_received(self, data: bytes) -> None:
        self._received = time.monotonic()
        if self._closing:
            data = self._buffer = b""
        try:
            self._read(self._buffer + data if self._buffer else data)
        except AmqpError as refusal:
            self.close(refusal)
        except DecodeError as problem:
            self.close(AmqpError("amqp:decode-error", str(problem)))
        except Exception:
            log.exception("amqp: a connection from %s failed", self._peer)
            self.close(AmqpError("amqp:internal-error", "the emulator failed; its log says why"))
        self._flush()
        self._stop_reading_if_swamped()

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        if self._swamped and self._transport is not None and not self._transport.is_closing():
            self._swamped = False
            self._transport.resume_reading()
        for session in list(self._sessions.values()):
            session.pump()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._closing = True
        self.writable = False
        self._transport = None
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        for task in self._requests:
            task.cancel()
        self._on_lost(self)

    def _stop_reading_if_swamped(self) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or self._swamped:
            return
        if transport.get_write_buffer_size() > PAUSE_READING:
            self._swamped = True
            transport.pause_reading()

    # --- what the server asks for

    def tick(self, now: float) -> None:
        """Heartbeats, time limits and expired tokens; called about once a second."""
        if self._transport is None or self._closing:
            return
        if not self._opened and now - self._began > OPEN_TIMEOUT:
            self.close(AmqpError("amqp:connection:forced", "the connection was not opened in time"))
        elif now - self._received > self._idle_timeout:
            reason = f"nothing was received for {self._idle_timeout:g} s"
            self.close(AmqpError("amqp:connection:forced", reason))
        elif self._opened and self._heartbeat and now - self._sent > self._heartbeat / 2:
            self.write(EMPTY_FRAME)
        if self.authorization.expire(time.time()):
            self._recheck_links()

    def close(self, refusal: AmqpError | None) -> None:
        """Say why, and close; a client that does not answer is cut off."""
        if self._closing or self._transport is None:
            return
        self._closing = True
        if refusal is not None:
            log.info("amqp: closed the connection from %s: %s", self._peer, one_line(refusal))
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        if not self._expects_header and (self._opened or self._sasl_done):
            if not self._opened:
                self._write_open()
            self.write(frame(0, Performative.CLOSE, [error(refusal) if refusal else None]))
        self._flush()
        loop = asyncio.get_running_loop()
        if refusal is None:
            self._transport.close()
        else:  # the client reads the reason before the socket goes
            with suppress(OSError):  # the client is gone already
                if self._transport.can_write_eof():
                    self._transport.write_eof()
            loop.call_later(CLOSE_TIMEOUT, self._transport.close)
        loop.call_later(2 * CLOSE_TIMEOUT, self._transport.abort)

    def abort(self) -> None:
        """Cut the connection off."""
        if self._transport is not None:
            self._transport.abort()

    # --- what sessions and links ask for

    def service_of(self, address: str) -> Service:
        """The owner of an address. Raises AmqpError where there is none."""
        for service in self._services:
            if service.owns(address):
                return service
        raise AmqpError("amqp:not-found", f"the messaging entity '{address}' could not be found")

    def write(self, data: bytes) -> None:
        """Send bytes with all others of this turn of the loop."""
        self._out.append(data)
        self._out_size += len(data)
        if self._out_size > WRITE_SIZE:
            self._flush()
        elif not self._flush_scheduled:
            self._flush_scheduled = True
            asyncio.get_running_loop().call_soon(self._flush)

    @property
    def request_count(self) -> int:
        """How many requests are under way."""
        return len(self._requests)

    def start_request(self, work: Coroutine[Any, Any, None]) -> None:
        """Answer a request while the connection goes on."""
        task = asyncio.get_running_loop().create_task(work)
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    # --- reading

    def _read(self, data: bytes) -> None:
        position, size = 0, len(data)
        while size - position >= HEADER_SIZE and not self._closing:
            if self._expects_header:
                self._header(data[position : position + HEADER_SIZE])
                position += HEADER_SIZE
                continue
            length = frame_size(data, position)
            if size - position < length:
                break
            received = parse(data, position, length)
            position += length
            if received is not None:
                self._frame(received)
        self._buffer = b"" if self._closing else data[position:]

    def _header(self, header: bytes) -> None:
        if header == SASL_HEADER and not self._sasl_done:
            self.write(SASL_HEADER + sasl.mechanisms())
        elif header == AMQP_HEADER:
            self.write(AMQP_HEADER)
            self._sasl_done = True
        else:  # part 2 §2.2: answer with what is spoken here, and close
            self.write(AMQP_HEADER)
            self.close(AmqpError("amqp:connection:framing-error", "not a header of AMQP 1.0"))
        self._expects_header = False

    def _frame(self, received: Frame) -> None:
        code = received.code
        if not self._sasl_done:
            self._sasl(received)
        elif received.type != FRAME_TYPE_AMQP:
            raise AmqpError("amqp:connection:framing-error", "not an AMQP frame")
        elif code == Performative.OPEN:
            self._open(received.fields)
        elif not self._opened:
            raise AmqpError("amqp:not-allowed", "the first frame must be an open")
        elif code == Performative.CLOSE:
            self.close(None)
        elif code == Performative.BEGIN:
            self._begin(received)
        else:
            self._to_session(received)

    def _sasl(self, received: Frame) -> None:
        if received.type != FRAME_TYPE_SASL or received.code != Performative.SASL_INIT:
            raise AmqpError("amqp:not-allowed", "SASL begins with an init")
        accepted, answer = sasl.outcome(received.fields, self.authorization)
        self.write(answer)
        if not accepted:
            raise AmqpError("amqp:unauthorized-access", "SASL failed")
        self._sasl_done = self._expects_header = True

    def _open(self, fields: list[Any]) -> None:
        if self._opened:
            raise AmqpError("amqp:not-allowed", "the connection is open already")
        max_frame_size, idle_timeout = fields[2], fields[4]
        if max_frame_size is not None:
            if not isinstance(max_frame_size, int) or max_frame_size < MIN_FRAME_SIZE:
                reason = f"max-frame-size must be {MIN_FRAME_SIZE} at least"
                raise AmqpError("amqp:invalid-field", reason)
            self.max_frame_size = min(max_frame_size, MAX_FRAME_SIZE)
        else:
            self.max_frame_size = MAX_FRAME_SIZE
        if isinstance(idle_timeout, int) and idle_timeout > 0:
            self._heartbeat = idle_timeout / 1000
        self._write_open()

    def _write_open(self) -> None:
        self._opened = True
        idle = UInt(int(self._idle_timeout * 1000))
        limits = [UInt(MAX_FRAME_SIZE), UShort(CHANNEL_MAX), idle]
        fields: list[Any] = ["mymote", None, *limits, None, None, None, None, {}]
        self.write(frame(0, Performative.OPEN, fields))

    def _begin(self, received: Frame) -> None:
        channel = received.channel
        if channel > CHANNEL_MAX:
            raise AmqpError("amqp:not-allowed", f"channels go up to {CHANNEL_MAX}")
        if channel in self._sessions:
            raise AmqpError("amqp:not-allowed", f"channel {channel} has a session already")
        self._sessions[channel] = Session(self, channel, received.fields)

    def _to_session(self, received: Frame) -> None:
        session = self._sessions.get(received.channel)
        if session is None:
            # The Azure SDKs detach, and settle, even after they ended the session.
            if received.code in (Performative.ATTACH, Performative.TRANSFER):
                raise AmqpError("amqp:not-allowed", f"channel {received.channel} has no session")
        elif received.code == Performative.END:
            del self._sessions[received.channel]
            session.end(None)
        else:
            try:
                session.handle(received)
            except SessionError as refusal:
                log.info("amqp: ended a session from %s: %s", self._peer, one_line(refusal))
                del self._sessions[received.channel]
                session.end(refusal)

    # --- writing

    def _flush(self) -> None:
        self._flush_scheduled = False
        if not self._out:
            return
        out, self._out, self._out_size = self._out, [], 0
        if self._transport is not None and not self._transport.is_closing():
            self._sent = time.monotonic()
            self._transport.write(b"".join(out))

    def _recheck_links(self) -> None:
        """Close the links whose right came with a token that has expired."""
        for session in self._sessions.values():
            for link in list(session.links.values()):
                if link.address == "$cbs":
                    continue
                try:
                    rights = authorize(session, self.service_of(link.address), link.address)
                    if link.needs is None or link.needs in rights:
                        continue
                    refusal = AmqpError("amqp:unauthorized-access", "the token has expired")
                except AmqpError:
                    refusal = AmqpError("amqp:unauthorized-access", "the token has expired")
                link.detach(refusal)
