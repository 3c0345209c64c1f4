"""Cloud-to-device queues: one for each device, kept until the device acknowledges.

Facts: "Understand cloud-to-device messaging from an IoT hub" of Azure's documentation. Only an
explicit abandon counts as a delivery there, and MQTT has none: a message is offered until the
device takes it or it expires.
"""

import json
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from emulator.iothub import clock, topics
from emulator.iothub.errors import HubError
from emulator.iothub.feedback import Feedback, Outcome
from emulator.store import Store

MAX_WAITING = 50
MAX_MESSAGE_BYTES = 64 * 1024
MAX_TOPIC_BYTES = 0xFFFF  # MQTT 3.1.1 §1.5.3
DEFAULT_TIME_TO_LIVE = 3600.0  # seconds
MAX_TIME_TO_LIVE = 2 * 86400.0

_SWEEP_BATCH = 500


@dataclass(frozen=True)
class CloudMessage:
    """A message as a service sent it. Property values are text, as MQTT carries them."""

    body: bytes
    message_id: str | None = None
    correlation_id: str | None = None
    user_id: str | None = None
    content_type: str | None = None
    content_encoding: str | None = None
    expiry: float | None = None  # Unix seconds
    properties: Mapping[str, str | None] | None = None

    @property
    def ack(self) -> str:
        """Which feedback is asked for: none, positive, negative or full."""
        return (self.properties or {}).get("iothub-ack") or "none"


@dataclass(frozen=True)
class Waiting:
    """A message in a device's queue. `packet_id` is set once it was offered to the device."""

    row: int
    packet_id: int | None
    properties: Mapping[str, str | None]  # as the topic carries them
    body: bytes


class CloudToDevice:
    """The queues. Nothing leaves one before the device acknowledged it, or it expired."""

    def __init__(self, store: Store, feedback: Feedback) -> None:
        self._store = store
        self._feedback = feedback
        self._held: set[int] = set()  # rows that a live connection has in flight
        store.create(
            """CREATE TABLE IF NOT EXISTS iothub_c2d (
                row INTEGER PRIMARY KEY AUTOINCREMENT,
                device_id TEXT NOT NULL REFERENCES iothub_devices ON DELETE CASCADE,
                message_id TEXT,
                ack TEXT NOT NULL,
                expiry REAL NOT NULL,
                properties TEXT NOT NULL,
                body BLOB NOT NULL,
                packet_id INTEGER
            )""",
            "CREATE INDEX IF NOT EXISTS iothub_c2d_device ON iothub_c2d (device_id, row)",
            "CREATE INDEX IF NOT EXISTS iothub_c2d_expiry ON iothub_c2d (expiry)",
        )

    def send(self, device_id: str, message: CloudMessage) -> None:
        """Queue a message for a device that exists.

        Raises HubError 413 above 64 KB (of the properties alone as a topic carries them, too), 403
        with 50 waiting, 400 for an unknown iothub-ack.
        """
        properties = _topic_properties(device_id, message)
        size = len(message.body) + sum(len(k) + len(v or "") for k, v in properties.items())
        topic = topics.devicebound(device_id, properties)
        if size > MAX_MESSAGE_BYTES or len(topic) > MAX_TOPIC_BYTES:
            raise HubError(413, "MessageTooLarge", "A cloud-to-device message has at most 64 KB")
        if message.ack not in ("none", "positive", "negative", "full"):
            raise HubError(400, "ArgumentInvalid", "iothub-ack is none, positive, negative or full")
        if self.waiting(device_id) >= MAX_WAITING:
            raise HubError(
                403,
                "DeviceMaximumQueueDepthExceeded",
                f"{MAX_WAITING} messages wait for the device already; send again once it took some",
            )
        now = time.time()
        expiry = message.expiry or now + DEFAULT_TIME_TO_LIVE
        self._store.write(
            """INSERT INTO iothub_c2d (device_id, message_id, ack, expiry, properties, body)
                VALUES (?, ?, ?, ?, ?, ?)""",
            (
                device_id,
                message.message_id,
                message.ack,
                min(expiry, now + MAX_TIME_TO_LIVE),
                json.dumps(properties),
                message.body,
            ),
        )

    def waiting(self, device_id: str) -> int:
        """How many messages the device has not acknowledged."""
        count: int = self._store.read(
            "SELECT COUNT(*) FROM iothub_c2d WHERE device_id = ?", (device_id,)
        ).fetchone()[0]
        return count

    def take(self, device_id: str, limit: int) -> Iterable[Waiting]:
        """The oldest `limit` messages that no connection holds yet; holds them."""
        rows = self._store.read(
            """SELECT row, packet_id, properties, body FROM iothub_c2d
                WHERE device_id = ? AND expiry > ? ORDER BY row LIMIT ?""",
            (device_id, time.time(), MAX_WAITING),
        ).fetchall()
        free = [row for row in rows if row[0] not in self._held][:limit]
        self._held.update(row[0] for row in free)
        return [Waiting(row, pid, json.loads(bag), body) for row, pid, bag, body in free]

    def offered(self, row: int, packet_id: int) -> None:
        """Remember the packet identifier, for the repeat after a reconnect (MQTT §4.4)."""
        self._store.write("UPDATE iothub_c2d SET packet_id = ? WHERE row = ?", (packet_id, row))

    def forget_offers(self, device_id: str) -> None:
        """A clean session begins: what was offered in the last one is offered anew."""
        self._store.write(
            "UPDATE iothub_c2d SET packet_id = NULL WHERE device_id = ? AND packet_id IS NOT NULL",
            (device_id,),
        )

    def complete(self, row: int) -> None:
        """The device has it."""
        self._end(row, Outcome.SUCCESS)

    def release(self, rows: Iterable[int]) -> None:
        """A connection ended with these in flight."""
        self._held.difference_update(rows)

    def purge(self, device_id: str) -> int:
        """Drop all that waits for a device; returns how many."""
        rows = self._store.read(
            "SELECT row FROM iothub_c2d WHERE device_id = ?", (device_id,)
        ).fetchall()
        for (row,) in rows:
            self._end(row, Outcome.PURGED)
        return len(rows)

    def expire(self) -> None:
        """Drop what has expired and is not in flight."""
        rows = self._store.read(
            "SELECT row FROM iothub_c2d WHERE expiry <= ? ORDER BY expiry LIMIT ?",
            (time.time(), len(self._held) + _SWEEP_BATCH),
        ).fetchall()
        for (row,) in rows:
            if row not in self._held:
                self._end(row, Outcome.EXPIRED)

    def _end(self, row: int, outcome: Outcome) -> None:
        self._held.discard(row)
        found = self._store.read(
            """SELECT device_id, message_id, ack, generation_id
                FROM iothub_c2d JOIN iothub_devices USING (device_id) WHERE row = ?""",
            (row,),
        ).fetchone()
        if found is None:
            return
        self._store.write("DELETE FROM iothub_c2d WHERE row = ?", (row,))
        device_id, message_id, ack, generation_id = found
        wanted = "positive" if outcome is Outcome.SUCCESS else "negative"
        if ack in (wanted, "full"):
            self._feedback.add(message_id, outcome, device_id, generation_id)


def _topic_properties(device_id: str, message: CloudMessage) -> dict[str, str | None]:
    system = {
        "$.mid": message.message_id,
        "$.cid": message.correlation_id,
        "$.uid": message.user_id,
        "$.to": f"/devices/{device_id}/messages/devicebound",
        "$.ct": message.content_type,
        "$.ce": message.content_encoding,
        "$.exp": None if message.expiry is None else clock.iso(message.expiry),
    }
    properties: dict[str, str | None] = {k: v for k, v in system.items() if v is not None}
    return {**properties, **(message.properties or {})}
