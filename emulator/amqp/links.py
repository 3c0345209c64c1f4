"""The two kinds of links, with their credit (AMQP 1.0 part 2 §2.6)."""

from typing import TYPE_CHECKING, Any

from emulator.amqp.codec import DecodeError
from emulator.amqp.frames import Performative, error, frame
from emulator.amqp.node import AmqpError, Outcome, Right, Source, Target, Verdict
from emulator.amqp.types import UInt

if TYPE_CHECKING:
    from emulator.amqp.session import Session

# Deliveries a client may send before it needs more credit, which it gets at half of it.
CREDIT = 1000
# Deliveries that a client may leave unsettled on one link before it gets no more.
MAX_UNSETTLED = 10_000
_HALF = 1 << 31
_WHOLE = 1 << 32


def serial_difference(a: int, b: int) -> int:
    """a - b in serial number arithmetic of 32 bits (RFC 1982)."""
    return (a - b + _HALF) % _WHOLE - _HALF


class SendingLink:
    """The server's end of a link that delivers to a client: a node's `OutgoingLink`."""

    def __init__(self, session: "Session", handle: int, address: str) -> None:
        self.session = session
        self.handle = handle
        self.address = address
        self.reply_address = ""  # the client's own name of the link's target
        self.needs: Right | None = Right.LISTEN
        self.source: Source | None = None
        self.unsettled = 0
        self._delivery_count = 0
        self._credit = 0
        self._drain = False
        self._pumping = False

    @property
    def credit(self) -> int:
        """How many deliveries the client, its session's window and its socket still take."""
        if self.source is None or not self.session.writable:
            return 0
        return max(0, min(self._credit, MAX_UNSETTLED - self.unsettled))

    def send(self, payload: bytes, tag: bytes, *, settled: bool, message_format: int = 0) -> int:
        """Deliver an encoded message; returns its delivery id."""
        self._delivery_count = (self._delivery_count + 1) % _WHOLE
        self._credit -= 1
        if not settled:
            self.unsettled += 1
        return self.session.deliver(self, payload, tag, message_format, settled=settled)

    def detach(self, refusal: AmqpError) -> None:
        """Close the link from this side."""
        self.session.detach(self, refusal)

    def flow(self, delivery_count: Any, credit: Any, drain: bool, echo: bool) -> None:
        """The client's credit (part 2 §2.6.7)."""
        seen = _uint(delivery_count or 0)
        ahead = serial_difference(seen, self._delivery_count)
        self._credit = max(0, _uint(credit or 0) + ahead)
        self._drain = drain
        self.pump()
        if echo:
            self._report()

    def pump(self) -> None:
        """Let the source send; then, where the client drains, give back the credit left."""
        if self.source is None or self._pumping:
            return
        self._pumping = True
        try:
            self._pump(self.source)
        finally:
            self._pumping = False
        if self._drain and self.source is not None and (self.credit > 0 or self._credit == 0):
            self._delivery_count = (self._delivery_count + self._credit) % _WHOLE
            self._credit = 0
            self._report()
            self._drain = False

    def _pump(self, source: Source) -> None:
        while self.credit > 0:
            before = self._credit
            source.pump()
            if not self._drain or self._credit == before:  # a drain takes all that there is
                return

    def settle(self, delivery_id: int, outcome: Outcome) -> Outcome | None:
        """The client's verdict on a delivery; returns what to echo."""
        self.unsettled -= 1
        if self.source is None:
            return None
        try:
            echo = self.source.settle(delivery_id, outcome)
        except AmqpError as refusal:
            echo = Outcome(Verdict.REJECTED, error=refusal)
        if self.unsettled == MAX_UNSETTLED - 1:
            self.pump()
        return echo

    def close(self) -> None:
        """Give the node's side up. Safe to call twice."""
        source, self.source = self.source, None
        if source is not None:
            source.close()

    def _report(self) -> None:
        self.session.write_flow(self.handle, self._delivery_count, self._credit, self._drain)


class ReceivingLink:
    """The server's end of a link on which a client sends."""

    def __init__(
        self, session: "Session", handle: int, address: str, delivery_count: int, max_size: int
    ) -> None:
        self.session = session
        self.handle = handle
        self.address = address
        self.needs: Right | None = Right.SEND
        self.target: Target | None = None
        self._max_size = max_size
        self._delivery_count = delivery_count
        self._credit = 0
        self._chunks: list[bytes] = []
        self._size = 0
        self._delivery_id: int | None = None
        self._format = 0
        self._settled = False

    def grant(self) -> None:
        """Give the client a full measure of credit."""
        self._credit = CREDIT
        self.session.write_flow(self.handle, self._delivery_count, self._credit, False)

    def flow(self, _delivery_count: Any, _credit: Any, _drain: bool, echo: bool) -> None:
        """The client's view of its own link; only an echo wants an answer."""
        if echo:
            self.session.write_flow(self.handle, self._delivery_count, self._credit, False)

    def transfer(self, fields: list[Any], payload: bytes) -> None:
        """One frame of a delivery; the last one hands it to the node."""
        _, delivery_id, _, message_format, settled, more, _, _, _, aborted, _ = fields
        if self.target is None:
            return
        if self._delivery_id is None:
            self._begin(delivery_id, message_format)
        self._settled = self._settled or settled is True
        if aborted:
            self._finish()
            return
        self._size += len(payload)
        if self._size > self._max_size:
            self._refuse_size()
            return
        self._chunks.append(payload)
        if not more:
            self._complete()

    def close(self) -> None:
        """Give the node's side up. Safe to call twice."""
        target, self.target = self.target, None
        self._chunks.clear()
        if target is not None:
            target.close()

    def detach(self, refusal: AmqpError) -> None:
        """Close the link from this side."""
        self.session.detach(self, refusal)

    def _begin(self, delivery_id: Any, message_format: Any) -> None:
        if delivery_id is None:
            raise DecodeError("a delivery has no id")
        if self._credit <= 0:
            refusal = AmqpError("amqp:link:transfer-limit-exceeded", "a transfer without credit")
            self.session.detach(self, refusal)
        self._delivery_id = _uint(delivery_id)
        self._format = _uint(message_format or 0)
        self._delivery_count = (self._delivery_count + 1) % _WHOLE
        self._credit -= 1

    def _refuse_size(self) -> None:
        """Detach the link; the rejection before it is where the Azure SDKs read the reason."""
        delivery_id, _, settled, _ = self._finish()
        description = f"a message here is at most {self._max_size} bytes"
        refusal = AmqpError("amqp:link:message-size-exceeded", description)
        if not settled:
            self._reject(delivery_id, refusal)
        self.session.detach(self, refusal)

    def _finish(self) -> tuple[int, int, bool, bytes]:
        delivery = self._delivery_id or 0, self._format, self._settled, b"".join(self._chunks)
        self._delivery_id, self._settled, self._size = None, False, 0
        self._chunks.clear()
        return delivery

    def _complete(self) -> None:
        delivery_id, message_format, settled, payload = self._finish()
        if self.target is None:
            return
        try:
            self.target.receive(payload, message_format)
        except AmqpError as refusal:
            self._reject(delivery_id, refusal)
        except DecodeError as problem:
            self._reject(delivery_id, AmqpError("amqp:decode-error", str(problem)))
        else:
            if not settled:
                self.session.accept(delivery_id)
        if self._credit <= CREDIT // 2 and self.target is not None:
            self.grant()

    def _reject(self, delivery_id: int, refusal: AmqpError) -> None:
        self.session.dispose(delivery_id, Outcome(Verdict.REJECTED, error=refusal), role=True)


Link = SendingLink | ReceivingLink


def detach_frame(channel: int, handle: int, closed: bool, refusal: AmqpError | None) -> bytes:
    """A detach, with its reason where this side begins it."""
    fields = [UInt(handle), closed, error(refusal) if refusal else None]
    return frame(channel, Performative.DETACH, fields)


def _uint(value: Any) -> int:
    if not isinstance(value, int) or not 0 <= value < _WHOLE:
        raise DecodeError("a number is not one")
    return value
