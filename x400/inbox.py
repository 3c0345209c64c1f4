"""User messages: cloud-to-device messages kept until the app reads them."""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable
from urllib.parse import unquote

from paho.mqtt.client import MQTTMessage

from x400.errors import IomoteError
from x400.link import Link
from x400.store import Store

KEPT = 10
MESSAGE_BYTES = 4096
WITHHELD = 50  # IoT Hub lets no more wait for a device
SEEN_IDS = 1000

log = logging.getLogger(__name__)


class Inbox:
    """Ten messages in the store, in order; the rest stays in the cloud, unacknowledged.

    MQTT cannot give a message back: the hub keeps what is not acknowledged in flight. So the
    eleventh waits here in memory, and is stored and acknowledged once a read made room. If
    the connection drops meanwhile, the hub sends it again.
    """

    def __init__(
        self,
        store: Store,
        on_change: Callable[[], None],
        on_fault: Callable[[IomoteError], None],
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._clock = clock
        self._on_change = on_change
        self._on_fault = on_fault
        self._waiting: deque[tuple[Link, MQTTMessage]] = deque()
        self._kept = int(store.read("SELECT count(*) FROM user_message")[0][0])

    def receive(self, link: Link, message: MQTTMessage) -> None:
        """Take a message of the topic `devicebound`; in the order received."""
        if len(self._waiting) < WITHHELD:
            self._waiting.append((link, message))
        self._take()

    def drop_connection(self) -> None:
        """Forget what was withheld: the hub sends it again over the next connection."""
        self._waiting.clear()

    def waiting(self) -> int:
        """How many messages the app can read."""
        return self._kept

    def read(self) -> bytes | None:
        """The oldest message, which is then erased; None where there is none.

        Raises IomoteError where it cannot be erased; it is kept then.
        """
        rows = self._store.read("SELECT seq, body FROM user_message ORDER BY seq LIMIT 1")
        if not rows:
            return None
        seq, body = rows[0]
        with self._store.transaction() as db:
            db.execute("DELETE FROM user_message WHERE seq = ?", (seq,))
        self._kept -= 1
        self._take()
        return bytes(body)

    def clear(self) -> None:
        """Erase what is kept, unread. What is still in the cloud comes next."""
        with self._store.transaction() as db:
            erased = self.wipe(db)
        self.forget(erased)
        self._take()

    def wipe(self, db: sqlite3.Connection, before_ms: float | None = None) -> int:
        """Erase what is kept, or what was received before a Unix time in ms; how many.

        Inside a transaction; call `forget` when it has ended.
        """
        return db.execute(
            "DELETE FROM user_message WHERE received_ms < ifnull(?, received_ms + 1)", (before_ms,)
        ).rowcount

    def forget(self, erased: int) -> None:
        """So many are kept no more: the transaction of `wipe` has ended."""
        self._kept -= erased

    def bodies(self) -> list[bytes]:
        """What is kept, oldest first, without erasing it."""
        return [body for (body,) in self._store.read("SELECT body FROM user_message ORDER BY seq")]

    def _take(self) -> None:
        """Store and acknowledge in order, as far as there is room."""
        while self._waiting:
            link, message = self._waiting[0]
            try:
                if not self._settle(message):
                    return
            except IomoteError as error:
                self._on_fault(error)
                return
            self._waiting.popleft()
            link.acknowledge(message)

    def _settle(self, message: MQTTMessage) -> bool:
        """Whether the hub may forget the message: it is stored, or never will be."""
        identity = message_id(message.topic)
        if identity and self._store.read("SELECT 1 FROM seen WHERE id = ?", identity):
            log.info("user message %s was received before", identity)
            return True
        if len(message.payload) > MESSAGE_BYTES:
            # The cloud refuses these; one that came anyway would block the line for ever.
            log.warning("dropped a user message of %d bytes", len(message.payload))
            return True
        if self._kept >= KEPT:
            return False
        with self._store.transaction() as db:
            db.execute(
                "INSERT INTO user_message (body, received_ms) VALUES (?, ?)",
                (bytes(message.payload), int(self._clock() * 1000)),
            )
            if identity:
                seq = db.execute("INSERT INTO seen (id) VALUES (?)", (identity,)).lastrowid
                db.execute("DELETE FROM seen WHERE seq <= ?", ((seq or 0) - SEEN_IDS,))
        self._kept += 1
        self._on_change()
        return True


def message_id(topic: str) -> str:
    """`$.mid` of a topic `devices/{id}/messages/devicebound/{properties}`; "" without one."""
    _, _, bag = topic.partition("/messages/devicebound/")
    properties = dict(part.partition("=")[::2] for part in bag.split("&"))
    decoded = {unquote(name): unquote(value) for name, value in properties.items()}
    return decoded.get("$.mid", "")
