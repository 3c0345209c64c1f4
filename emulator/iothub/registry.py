"""The identity registry, in SQLite: found by key, never loaded whole."""

import time
from collections.abc import Iterable

from emulator.iothub import identity as identities
from emulator.iothub.errors import HubError, device_not_found, precondition_failed
from emulator.iothub.identity import Identity, IdentityRequest
from emulator.store import Store

_COLUMNS = (
    "device_id, generation_id, etag, status, status_reason, status_updated, "
    "connected, connection_updated, last_activity, primary_key, secondary_key"
)
_SELECT = f"SELECT {_COLUMNS} FROM iothub_devices"  # noqa: S608  a constant


class Registry:
    """Identities by device id. Changes are durable when the store is."""

    def __init__(self, store: Store) -> None:
        self._store = store
        store.create(
            """CREATE TABLE IF NOT EXISTS iothub_devices (
                device_id TEXT PRIMARY KEY,
                generation_id TEXT NOT NULL,
                etag TEXT NOT NULL,
                status TEXT NOT NULL,
                status_reason TEXT,
                status_updated REAL NOT NULL DEFAULT 0,
                connected INTEGER NOT NULL DEFAULT 0,
                connection_updated REAL NOT NULL DEFAULT 0,
                last_activity REAL NOT NULL DEFAULT 0,
                primary_key TEXT NOT NULL,
                secondary_key TEXT NOT NULL
            ) WITHOUT ROWID""",
            """CREATE INDEX IF NOT EXISTS iothub_devices_connected
                ON iothub_devices (device_id) WHERE connected = 1""",
        )

    def get(self, device_id: str) -> Identity:
        """Raises HubError 404."""
        found = self.find(device_id)
        if found is None:
            raise device_not_found(device_id)
        return found

    def find(self, device_id: str) -> Identity | None:
        row = self._store.read(f"{_SELECT} WHERE device_id = ?", (device_id,)).fetchone()
        return None if row is None else Identity(*row)

    def first(self, top: int) -> Iterable[Identity]:
        """The first `top` identities, by device id."""
        rows = self._store.read(f"{_SELECT} ORDER BY device_id LIMIT ?", (top,))
        return [Identity(*row) for row in rows]

    def create(self, device_id: str, request: IdentityRequest) -> Identity:
        """Raises HubError 409 where the device exists, 400 for a name IoT Hub refuses."""
        identities.check_device_id(device_id)
        if self.find(device_id) is not None:
            raise HubError(
                409,
                "DeviceAlreadyExists",
                f"A device with ID '{device_id}' is already registered.",
            )
        self._store.write(
            """INSERT INTO iothub_devices (device_id, generation_id, etag, status, status_reason,
                primary_key, secondary_key) VALUES (?, ?, ?, ?, ?, ?, ?)""",
            (
                device_id,
                identities.new_generation(),
                identities.new_etag(),
                request.status or identities.ENABLED,
                request.status_reason,
                request.primary_key or identities.new_key(),
                request.secondary_key or identities.new_key(),
            ),
        )
        return self.get(device_id)

    def update(self, device_id: str, request: IdentityRequest, if_match: str | None) -> Identity:
        """Change status and keys. Raises HubError 404, or 412 where the ETag differs."""
        old = self.get(device_id)
        check_etag(old.etag, if_match)
        status = request.status or old.status
        self._store.write(
            """UPDATE iothub_devices SET etag = ?, status = ?, status_reason = ?,
                status_updated = ?, primary_key = ?, secondary_key = ? WHERE device_id = ?""",
            (
                identities.new_etag(),
                status,
                request.status_reason,
                old.status_updated if status == old.status else time.time(),
                request.primary_key or old.primary_key,
                request.secondary_key or old.secondary_key,
                device_id,
            ),
        )
        return self.get(device_id)

    def check(self, device_id: str, if_match: str | None) -> None:
        """Raises HubError 404, or 412 where the ETag differs."""
        check_etag(self.get(device_id).etag, if_match)

    def delete(self, device_id: str) -> None:
        self._store.write("DELETE FROM iothub_devices WHERE device_id = ?", (device_id,))

    def counts(self) -> tuple[int, int, int]:
        """How many devices there are, how many are enabled, how many are connected."""
        total, enabled, connected = self._store.read(
            "SELECT COUNT(*), COALESCE(SUM(status = 'enabled'), 0), COALESCE(SUM(connected), 0) "
            "FROM iothub_devices"
        ).fetchone()
        return total, enabled, connected

    def set_connected(self, device_id: str, connected: bool, last_activity: float) -> None:
        """Note that the device came or went. Nothing happens where it was deleted meanwhile."""
        self._store.write(
            """UPDATE iothub_devices SET connected = ?, connection_updated = ?, last_activity = ?
                WHERE device_id = ?""",
            (int(connected), time.time(), last_activity, device_id),
        )

    def set_all_disconnected(self) -> None:
        """At start-up: no connection outlives the process."""
        self._store.write(
            "UPDATE iothub_devices SET connected = 0, connection_updated = ? WHERE connected = 1",
            (time.time(),),
        )


def check_etag(etag: str, if_match: str | None) -> None:
    """Raises HubError 412 unless `if_match` is absent, `*` or the ETag, quoted or not."""
    if if_match is None or if_match.strip('"') in ("*", etag):
        return
    raise precondition_failed(f"the ETag is {etag}; read the device again and retry")
