"""MQTT sessions that outlive their connection: the subscriptions of clean session 0."""

import json

from emulator.store import Store

Subscriptions = dict[str, int]  # topic filter -> granted QoS


class Sessions:
    """Persisted subscriptions by device id; a session ends with its identity."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(
            """CREATE TABLE IF NOT EXISTS iothub_sessions (
                device_id TEXT PRIMARY KEY REFERENCES iothub_devices ON DELETE CASCADE,
                subscriptions TEXT NOT NULL
            ) WITHOUT ROWID"""
        )

    def load(self, device_id: str) -> Subscriptions | None:
        """The subscriptions of a session; None where there is none."""
        row = self._store.read(
            "SELECT subscriptions FROM iothub_sessions WHERE device_id = ?", (device_id,)
        ).fetchone()
        return None if row is None else dict(json.loads(row[0]))

    def save(self, device_id: str, subscriptions: Subscriptions) -> None:
        self._store.write(
            "INSERT OR REPLACE INTO iothub_sessions VALUES (?, ?)",
            (device_id, json.dumps(subscriptions)),
        )

    def discard(self, device_id: str) -> None:
        self._store.write("DELETE FROM iothub_sessions WHERE device_id = ?", (device_id,))
