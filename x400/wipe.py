"""Forgetting what was stored for a former owner: ordered by each pairing, done once for each."""

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from x400.inbox import Inbox
from x400.outbox import Outbox
from x400.store import Store, write_note

WIPED = "wiped"  # the last order carried out
BEGINNING = datetime.min.replace(tzinfo=UTC)

log = logging.getLogger(__name__)


class Wipe:
    """An order is the moment at which a pairing began, as ISO 8601; they only grow."""

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        inbox: Inbox,
        clock: Callable[[], float],
        on_wiped: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._inbox = inbox
        self._clock = clock
        self._on_wiped = on_wiped

    def all(self) -> int:
        """Forget every message both ways, durably; how many. Raises IomoteError."""
        return self._forget(None)

    def order(self, moment: datetime) -> int | None:
        """Forget what was stored before a pairing began, durably; how many messages.

        None where this order, or a later one, was carried out before. What was stored since
        the pairing began is the new owner's and stays, however late the order arrives.
        Raises IomoteError.
        """
        done = self._store.note(WIPED)
        if moment <= (datetime.fromisoformat(done) if done else BEGINNING):
            return None
        return self._forget(moment)

    def obey(self, desired: Mapping[str, object], began: float) -> str:
        """Carry out the desired property `wipe`; why the gateway must reset then, "" if not.

        A life that `began` (Unix time) after the pairing, with nothing to forget, goes on: it
        is the new owner's already. Raises IomoteError.
        """
        value = desired.get("wipe")
        moment = parse_order(value)
        if moment is None:
            if value is not None:
                log.error("the desired property `wipe` is no ISO 8601 time with an offset")
            return ""
        wiped = self.order(moment)
        if wiped is None or (wiped == 0 and began >= moment.timestamp()):
            return ""
        return f"after pairing, {wiped} messages wiped"

    def _forget(self, moment: datetime | None) -> int:
        before_ms = None if moment is None else moment.timestamp() * 1000
        with self._store.transaction() as db:
            if moment is not None:
                write_note(db, WIPED, moment.isoformat())
            messages = self._outbox.wipe(db, before_ms)
            user_messages = self._inbox.wipe(db, before_ms)
        self._outbox.forget(messages)
        self._inbox.forget(user_messages)
        self._on_wiped()
        return len(messages) + user_messages


def parse_order(value: object) -> datetime | None:
    """The moment that an order names; None for what is no ISO 8601 time with an offset."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None
