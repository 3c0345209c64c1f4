"""What a connection confirms to its client once the store is durable."""

from typing import TYPE_CHECKING

from emulator.amqp.frames import ACCEPTED, disposition
from emulator.amqp.node import Outcome
from emulator.store import Store

if TYPE_CHECKING:
    from emulator.amqp.session import Session


class Settlement:
    """Gathers a turn's deliveries and verdicts, and confirms them after the commit."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._accepts: list[tuple[Session, int]] = []
        self._echoes: list[tuple[Session, int, Outcome]] = []

    def accept(self, session: "Session", delivery_id: int) -> None:
        """Accept a delivery of the client after the next commit."""
        self._schedule()
        self._accepts.append((session, delivery_id))

    def echo(self, session: "Session", delivery_id: int, outcome: Outcome) -> None:
        """Confirm the client's own verdict after the next commit."""
        self._schedule()
        self._echoes.append((session, delivery_id, outcome))

    def _schedule(self) -> None:
        if not self._accepts and not self._echoes:
            self._store.when_durable(self._confirm)

    def _confirm(self) -> None:
        """Accepts are joined into ranges; echoes are not, since the SDKs wait for each."""
        accepts, self._accepts = self._accepts, []
        echoes, self._echoes = self._echoes, []
        ranges: list[tuple[Session, int, int]] = []
        for session, delivery_id in accepts:
            if ranges and ranges[-1][0] is session and ranges[-1][2] + 1 == delivery_id:
                ranges[-1] = (session, ranges[-1][1], delivery_id)
            else:
                ranges.append((session, delivery_id, delivery_id))
        for session, first, last in ranges:
            if not session.ended:
                session.write(disposition(session.channel, first, last, ACCEPTED, role=True))
        for session, delivery_id, outcome in echoes:
            if not session.ended:
                session.dispose(delivery_id, outcome, role=False)
