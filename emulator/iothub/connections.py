"""Which devices are connected, and the events that tell so.

A device counts as connected in the stream once it subscribed or published. Azure compares
snapshots every 60 s; here each change is told at once, or every `interval` seconds.
"""

import time
from typing import Generic, Protocol, TypeVar

from emulator.iothub.events import Events
from emulator.iothub.registry import Registry
from emulator.store import Store


class Link(Protocol):
    """A device's live connection."""

    @property
    def device_id(self) -> str: ...

    @property
    def last_activity(self) -> float: ...

    @property
    def active(self) -> bool:
        """Whether the device subscribed or published on it."""
        ...

    def drop(self, reason: str) -> None:
        """End the connection now: its `Connections.remove` runs before this returns."""
        ...


L = TypeVar("L", bound=Link)


class Connections(Generic[L]):
    """The one live connection of each device, and what the stream was last told of it."""

    def __init__(
        self,
        store: Store,
        registry: Registry,
        events: Events,
        *,
        interval: float,
        restart_grace: float,
    ) -> None:
        """`restart_grace`: seconds that devices have to return after a restart of the hub."""
        self._store = store
        self._registry = registry
        self._events = events
        self._interval = interval
        self._grace_ends = time.monotonic() + restart_grace
        self._next_report = time.monotonic() + interval
        self._live: dict[str, L] = {}
        self._changed: set[str] = set()
        self._stopped = False
        store.create(
            """CREATE TABLE IF NOT EXISTS iothub_announced (
                device_id TEXT PRIMARY KEY REFERENCES iothub_devices ON DELETE CASCADE,
                connected INTEGER NOT NULL,
                sequence INTEGER NOT NULL
            ) WITHOUT ROWID"""
        )
        self._sequence: int = store.read(
            "SELECT COALESCE(MAX(sequence), 0) FROM iothub_announced"
        ).fetchone()[0]
        self._announced = {
            row[0] for row in store.read("SELECT device_id FROM iothub_announced WHERE connected")
        }
        self._missing = set(self._announced)  # connected before the restart, not seen since
        registry.set_all_disconnected()

    def get(self, device_id: str) -> L | None:
        return self._live.get(device_id)

    def all(self) -> list[L]:
        return list(self._live.values())

    def add(self, link: L) -> None:
        """A device connected. An older connection of it is dropped."""
        older = self._live.get(link.device_id)
        self._live[link.device_id] = link
        if older is not None:
            older.drop("the device connected again")
        self._registry.set_connected(link.device_id, True, link.last_activity)

    def remove(self, link: L) -> None:
        """A connection ended. Nothing happens where it was replaced already."""
        if self._live.get(link.device_id) is not link:
            return
        del self._live[link.device_id]
        self._registry.set_connected(link.device_id, False, link.last_activity)
        self.changed(link.device_id)

    def changed(self, device_id: str) -> None:
        """The device came, went, or became active: tell the stream if it is news."""
        if self._interval > 0:
            self._changed.add(device_id)
        else:
            self._tell(device_id)

    def forget(self, device_id: str) -> None:
        """The identity is about to be deleted."""
        if (link := self._live.get(device_id)) is not None:
            link.drop("the device was deleted")
        self._tell(device_id)
        self._missing.discard(device_id)

    def stop(self) -> None:
        """The hub stops: connections end, but nobody is told, since devices may come back."""
        self._stopped = True

    def sweep(self) -> None:
        """Called every second: report snapshots, and devices that did not return."""
        now = time.monotonic()
        if self._changed and now >= self._next_report:
            self._next_report = now + self._interval
            changed, self._changed = self._changed, set()
            for device_id in changed:
                self._tell(device_id)
        if self._missing and now >= self._grace_ends:
            missing, self._missing = self._missing, set()
            for device_id in missing:
                self._tell(device_id)

    def _tell(self, device_id: str) -> None:
        link = self._live.get(device_id)
        connected = link is not None and link.active
        if connected:
            self._missing.discard(device_id)
        if self._stopped or connected == (device_id in self._announced):
            return
        (self._announced.add if connected else self._announced.discard)(device_id)
        self._sequence = max(self._sequence + 1, time.time_ns())
        self._store.write(
            "INSERT OR REPLACE INTO iothub_announced VALUES (?, ?, ?)",
            (device_id, int(connected), self._sequence),
        )
        self._events.connection_state(device_id, connected=connected, sequence=self._sequence)
