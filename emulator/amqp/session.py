"""Sessions: transfer windows, links by handle, deliveries and their settlement (part 2 §2.5)."""

from collections import deque
from typing import TYPE_CHECKING, Any

from emulator.amqp.attach import attach_link
from emulator.amqp.frames import (
    Frame,
    Performative,
    disposition,
    error,
    frame,
    outcome_state,
    read_outcome,
    transfer,
)
from emulator.amqp.links import Link, ReceivingLink, SendingLink, detach_frame, serial_difference
from emulator.amqp.node import AmqpError, Outcome
from emulator.amqp.types import UInt, UShort

if TYPE_CHECKING:
    from emulator.amqp.connection import Connection

HANDLE_MAX = 255
# Deliveries are handled as they arrive, so this side's window never needs to hold a client back:
# link credit and TCP do. The client's window is kept to.
WINDOW = 0x7FFFFFFF
_WHOLE = 1 << 32


class SessionError(AmqpError):
    """Ends the session that caused it, and no more."""


class Session:
    """One session of a connection; this side answers on the client's own channel number."""

    def __init__(self, connection: "Connection", channel: int, begin: list[Any]) -> None:
        self.connection = connection
        self.channel = channel
        self.links: dict[int, Link] = {}
        self.ended = False
        self._detached: set[int] = set()  # handles closed here whose detach the client still owes
        self._next_incoming_id = _uint(begin[1])
        self._next_outgoing_id = 0
        self._window = _uint(begin[2])
        self._next_delivery_id = 0
        self._unsettled: dict[int, SendingLink] = {}
        self._waiting: deque[bytes] = deque()  # frames of a delivery that the window cut in two
        fields = [UShort(channel), UInt(0), UInt(WINDOW), UInt(WINDOW), UInt(HANDLE_MAX)]
        self._write(frame(channel, Performative.BEGIN, [*fields, None, None, None]))

    @property
    def writable(self) -> bool:
        """Whether a delivery that starts now can go out."""
        return self._window > 0 and not self._waiting and self.connection.writable

    def handle(self, received: Frame) -> None:
        """One frame on this session's channel. Raises AmqpError, SessionError or DecodeError."""
        fields = received.fields
        if received.code == Performative.TRANSFER:
            self._transfer(fields, received.payload)
        elif received.code == Performative.DISPOSITION:
            self._disposition(fields)
        elif received.code == Performative.FLOW:
            self._flow(fields)
        elif received.code == Performative.ATTACH:
            self._attach(received)
        elif received.code == Performative.DETACH:
            self._detach(fields)

    # --- what links ask for

    def deliver(
        self, link: SendingLink, payload: bytes, tag: bytes, message_format: int, *, settled: bool
    ) -> int:
        """Send one delivery, as far as the client's window goes; the rest follows its flow."""
        delivery_id = self._next_delivery_id
        self._next_delivery_id = (delivery_id + 1) % _WHOLE
        if not settled:
            self._unsettled[delivery_id] = link
        self._waiting.extend(
            transfer(
                self.channel,
                link.handle,
                delivery_id,
                tag,
                message_format,
                settled=settled,
                payload=payload,
                max_frame_size=self.connection.max_frame_size,
            )
        )
        self._send_waiting()
        return delivery_id

    def accept(self, delivery_id: int) -> None:
        """Accept a client's delivery once the store is durable."""
        self.connection.settlement.accept(self, delivery_id)

    def dispose(self, delivery_id: int, outcome: Outcome, *, role: bool) -> None:
        """Settle a delivery. `role` is true where the client sent it."""
        state = outcome_state(outcome)
        self._write(disposition(self.channel, delivery_id, delivery_id, state, role=role))

    def write_flow(self, handle: int, delivery_count: int, credit: int, drain: bool) -> None:
        """The state of a link, and of the session."""
        link = [UInt(handle), UInt(delivery_count), UInt(credit), None, drain, False, None]
        self._write(frame(self.channel, Performative.FLOW, [*self._windows(), *link]))

    def detach(self, link: Link, refusal: AmqpError) -> None:
        """Close a link from this side; the client answers with a detach of its own."""
        if self.links.get(link.handle) is not link:
            return
        del self.links[link.handle]
        self._detached.add(link.handle)
        self._forget(link)
        self._write(detach_frame(self.channel, link.handle, True, refusal))

    def refuse(self, handle: int, refusal: AmqpError) -> None:
        """Close a link that was attached with null terminuses only to say why."""
        self._detached.add(handle)
        self._write(detach_frame(self.channel, handle, True, refusal))

    def write(self, data: bytes) -> None:
        """Send a frame that is complete."""
        self._write(data)

    # --- what the connection asks for

    def pump(self) -> None:
        """Go on sending, after the socket or the window has opened again."""
        self._send_waiting()
        for link in list(self.links.values()):
            if isinstance(link, SendingLink):
                link.pump()

    def end(self, refusal: AmqpError | None) -> None:
        """End the session from this side or in answer to the client."""
        self.close()
        fields = [error(refusal) if refusal else None]
        self._write(frame(self.channel, Performative.END, fields))

    def close(self) -> None:
        """Give all links up."""
        self.ended = True
        self._waiting.clear()
        links, self.links = self.links, {}
        for link in links.values():
            self._forget(link)
        self._unsettled.clear()

    # --- frames

    def _transfer(self, fields: list[Any], payload: bytes) -> None:
        self._next_incoming_id = (self._next_incoming_id + 1) % _WHOLE
        handle = _uint(fields[0])
        link = self.links.get(handle)
        if isinstance(link, ReceivingLink):
            link.transfer(fields, payload)
        elif handle not in self._detached:
            description = f"no link sends on handle {handle}"
            raise SessionError("amqp:session:unattached-handle", description)

    def _disposition(self, fields: list[Any]) -> None:
        role, first, last, settled, state, _ = fields
        if role is not True:
            return
        first = _uint(first)
        last = first if last is None else _uint(last)
        outcome = read_outcome(state)
        if outcome is None:
            return
        for delivery_id in self._settled_ids(first, last):
            link = self._unsettled.pop(delivery_id)
            echo = link.settle(delivery_id, outcome)
            if echo is not None and settled is not True:
                self.connection.settlement.echo(self, delivery_id, echo)

    def _settled_ids(self, first: int, last: int) -> list[int]:
        """The unsettled deliveries of a range that the client may make as wide as it likes."""
        count = serial_difference(last, first) + 1
        if count <= len(self._unsettled):
            ids = [(first + step) % _WHOLE for step in range(count)]
            return [delivery_id for delivery_id in ids if delivery_id in self._unsettled]
        return [i for i in self._unsettled if 0 <= serial_difference(i, first) < count]

    def _flow(self, fields: list[Any]) -> None:
        next_incoming_id, window, next_outgoing_id, _, handle, count, credit, _, drain, echo, _ = (
            fields
        )
        seen = 0 if next_incoming_id is None else _uint(next_incoming_id)
        behind = serial_difference(seen, self._next_outgoing_id)
        blocked = not self.writable
        self._window = max(0, _uint(window) + behind)
        self._next_incoming_id = _uint(next_outgoing_id)
        if handle is None:
            if echo:
                self._write(frame(self.channel, Performative.FLOW, [*self._windows(), *[None] * 7]))
        elif (link := self.links.get(_uint(handle))) is not None:
            link.flow(count, credit, drain is True, echo is True)
        elif handle not in self._detached:
            raise SessionError("amqp:session:unattached-handle", f"no link has handle {handle}")
        if blocked:
            self.pump()

    def _attach(self, received: Frame) -> None:
        handle = _uint(received.fields[1])
        if handle > HANDLE_MAX:
            raise SessionError("amqp:not-allowed", f"handles go up to {HANDLE_MAX}")
        if handle in self.links or handle in self._detached:
            raise SessionError("amqp:session:handle-in-use", f"handle {handle} is in use")
        attach_link(self, received)

    def _detach(self, fields: list[Any]) -> None:
        handle, closed = _uint(fields[0]), fields[1]
        link = self.links.pop(handle, None)
        if link is not None:
            self._forget(link)
            self._write(detach_frame(self.channel, handle, closed is True, None))
        self._detached.discard(handle)

    # --- inside

    def _windows(self) -> list[UInt]:
        out = UInt(self._next_outgoing_id)
        return [UInt(self._next_incoming_id), UInt(WINDOW), out, UInt(WINDOW)]

    def _send_waiting(self) -> None:
        while self._waiting and self._window > 0:
            self._window -= 1
            self._next_outgoing_id = (self._next_outgoing_id + 1) % _WHOLE
            self._write(self._waiting.popleft())

    def _forget(self, link: Link) -> None:
        if isinstance(link, SendingLink) and link.unsettled:
            self._unsettled = {i: of for i, of in self._unsettled.items() if of is not link}
        link.close()

    def _write(self, data: bytes) -> None:
        self.connection.write(data)


def _uint(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < _WHOLE:
        raise SessionError("amqp:invalid-field", "a number of the session is not one")
    return value
