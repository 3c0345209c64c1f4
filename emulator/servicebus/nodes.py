"""A queue's AMQP addresses: the links of senders and receivers."""

from collections.abc import Mapping
from typing import Any

from emulator.amqp.node import AmqpError, Attach, IncomingLink, Outcome, OutgoingLink, Verdict
from emulator.servicebus import errors
from emulator.servicebus.entity import Entity
from emulator.servicebus.envelope import parse, render
from emulator.servicebus.queue import DEAD_LETTER_SUFFIX, Queue
from emulator.store import Store

# How many messages are read at a time, whatever the credit: it bounds what is in memory.
_CHUNK = 64


class QueueNode:
    """`{queue}` or `{queue}/$DeadLetterQueue`."""

    def __init__(self, store: Store, queue: Queue, entity: Entity) -> None:
        self._store = store
        self._queue = queue
        self._entity = entity

    def open_source(self, attach: Attach, link: OutgoingLink) -> "Receiver":
        """Raises AmqpError where the queue is disabled for receiving."""
        self._queue.check_receives()
        return Receiver(self._store, self._entity, link, attach.settled)

    def open_target(
        self,
        attach: Attach,  # noqa: ARG002 (the seam's signature)
        link: IncomingLink,
    ) -> "Sender":
        """Raises AmqpError where the queue is disabled for sending."""
        if self._entity is not self._queue.active:
            raise AmqpError(
                "amqp:not-allowed",
                f"Messages cannot be sent to '{self._queue.name}{DEAD_LETTER_SUFFIX}'. "
                "Send to the queue, or dead-letter a received message.",
            )
        self._queue.admit(link)
        return Sender(self._queue, link)


class Sender:
    """A link on which a client sends."""

    def __init__(self, queue: Queue, link: IncomingLink) -> None:
        self._queue = queue
        self._link = link

    def receive(self, payload: bytes, message_format: int) -> None:
        """Raises AmqpError: unreadable, full, disabled or deleted."""
        self._queue.send(parse(payload, message_format))

    def close(self) -> None:
        self._queue.leave(self._link)


class Receiver:
    """A link on which a client receives.

    What it did not settle stays locked when the link closes, as in Azure: the client may still
    settle over `$management`, and otherwise the locks expire.
    """

    def __init__(self, store: Store, entity: Entity, link: OutgoingLink, settled: bool) -> None:
        self._store = store
        self._entity = entity
        self._link = link
        self._settled = settled
        self._unsettled: dict[int, bytes] = {}
        self._pumping = False
        entity.log.listen(self)

    def pump(self) -> None:
        """Send what is there while the link has credit."""
        if self._pumping:
            return
        self._pumping = True
        try:
            while self._link.credit > 0 and self._send_some(min(self._link.credit, _CHUNK)):
                pass
        finally:
            self._pumping = False

    def settle(self, delivery_id: int, outcome: Outcome) -> Outcome | None:
        """Apply the client's verdict; a lost lock is answered with `rejected` and why."""
        token = self._unsettled.pop(delivery_id, None)
        try:
            if token is None:
                raise errors.lock_lost()
            return settle(self._entity, token, outcome)
        except AmqpError as error:
            return Outcome(Verdict.REJECTED, error=error)

    def refuse(self, error: AmqpError) -> None:
        """The queue was deleted, or its status changed."""
        self._link.detach(error)

    def close(self) -> None:
        self._entity.log.unlisten(self)

    def _send_some(self, limit: int) -> bool:
        if self._settled:
            deliveries = self._entity.take(limit)
            if deliveries:
                # At most once: gone from the disk before it is on its way.
                self._store.commit()
        else:
            deliveries = self._entity.receive(limit)
        for delivery in deliveries:
            delivery_id = self._link.send(render(delivery), delivery.token, settled=self._settled)
            if not self._settled:
                self._unsettled[delivery_id] = delivery.token
        return bool(deliveries)


def settle(entity: Entity, token: bytes, outcome: Outcome) -> Outcome:
    """Apply an outcome to a locked message; returns what is echoed. Raises AmqpError."""
    match outcome.verdict:
        case Verdict.ACCEPTED:
            entity.complete(token)
        case Verdict.RELEASED:
            entity.release(token)
        case Verdict.REJECTED:
            entity.reject(token, _reason(outcome.error))
        case Verdict.MODIFIED if outcome.undeliverable_here:
            entity.defer(token, outcome.annotations)
        case Verdict.MODIFIED:
            entity.abandon(token, outcome.annotations)
    # An echo of `rejected` that carries an error would read as a failure.
    return Outcome(
        outcome.verdict,
        delivery_failed=outcome.delivery_failed,
        undeliverable_here=outcome.undeliverable_here,
    )


def _reason(error: AmqpError | None) -> Mapping[str, Any]:
    """DeadLetterReason, DeadLetterErrorDescription and the client's own properties."""
    if error is None:
        return {}
    reason: dict[str, Any] = {}
    if error.condition and error.condition != "com.microsoft:dead-letter":
        reason = {
            "DeadLetterReason": error.condition,
            "DeadLetterErrorDescription": error.description,
        }
    return {**reason, **error.info}
