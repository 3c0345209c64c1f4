"""Delivery of stored messages: in order, at least once, a bounded number in flight."""

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

from x400.errors import IomoteError
from x400.journal import Fate
from x400.link import Link
from x400.messages import Stored
from x400.outbox import Outbox


class Delivery:
    """Publishes the outbox over the link of the moment.

    After a reconnect everything unacknowledged goes again, from the oldest. So what the hub
    took is always a run of messages without a gap, and whoever drops ids not above the
    highest one seen loses nothing.
    """

    def __init__(
        self,
        outbox: Outbox,
        window: int,
        on_delivered: Callable[[], None],
        on_fault: Callable[[IomoteError], None],
    ) -> None:
        self._outbox = outbox
        self._window = window
        self._on_delivered = on_delivered
        self._on_fault = on_fault
        self._link: Link | None = None
        self._in_flight: deque[int] = deque()
        self._acknowledged: set[int] = set()
        self._cursor = 0
        self._removing: list[int] = []
        self.idle = asyncio.Event()  # set while no publish waits for its PUBACK
        self.idle.set()
        self.delivered = 0  # messages that the hub took, in this life of the Core

    def attach(self, link: Link) -> None:
        """Begin to publish over a fresh connection, from the oldest message."""
        self.drop()
        self._link = link
        self._cursor = 0
        self.pump()

    def detach(self) -> None:
        """The connection is about to end: publish nothing more, take PUBACKs still."""
        self._link = None

    def drop(self) -> None:
        """The connection is gone: nothing is in flight any more."""
        self._link = None
        self._in_flight.clear()
        self._acknowledged.clear()
        self.idle.set()

    def pump(self) -> None:
        """Publish as much as the window takes; call it when a message was stored."""
        room = self._window - len(self._in_flight)
        if self._link is None or room <= 0:
            return
        try:
            for message in self._outbox.after(self._cursor, room):
                self._publish(self._link, message)
        except IomoteError as error:
            self._on_fault(error)

    def _publish(self, link: Link, message: Stored) -> None:
        self._cursor = message.mid
        self._in_flight.append(message.mid)
        self.idle.clear()
        done = partial(self._on_acknowledged, message)
        link.publish(message.topic(link.device_id), message.draft.body, done)

    def _on_acknowledged(self, message: Stored) -> None:
        if message.mid not in self._in_flight:
            return
        self._outbox.record(Fate.ACKNOWLEDGED, message)
        self._acknowledged.add(message.mid)
        while self._in_flight and self._in_flight[0] in self._acknowledged:
            done = self._in_flight.popleft()
            self.delivered += 1
            self._acknowledged.discard(done)
            if not self._removing:
                asyncio.get_running_loop().call_soon(self.flush)
            self._removing.append(done)
        if not self._in_flight:
            self.idle.set()

    def flush(self) -> None:
        """Forget what was acknowledged in this turn of the loop, in one transaction."""
        removing, self._removing = self._removing, []
        if not removing:
            return
        try:
            self._outbox.remove(removing)
        except IomoteError as error:
            self._on_fault(error)
            return
        self._on_delivered()
        self.pump()
