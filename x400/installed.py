"""What was installed over the air, and what it took the place of.

The binary of an app cannot run here: the sketch goes on, under the name and version that were
installed. A developer who gives the gateway another sketch, or its settings another firmware
version, gets what they gave.
"""

import sqlite3

from x400.ota_order import OtaKind, OtaOrder
from x400.properties import of_app
from x400.store import Store, write_note

APP, FIRMWARE = "installed_app", "installed_firmware"


class Installed:
    """Kept in the store, each as what it `is` and `over` what it was installed (None: over no
    sketch, so over the first that begins)."""

    def __init__(self, store: Store, fwversion: str) -> None:
        self._store = store
        self._settings_fwversion = fwversion

    def fwversion(self) -> str:
        """The version of the firmware that runs."""
        note = self._store.note(FIRMWARE) or {}
        given = self._settings_fwversion
        return str(note["is"]) if note.get("over") == given else given

    def app(self) -> dict[str, str]:
        """The properties of the app that last began; empty before the first time."""
        return self._store.note("app") or {}

    def begun(self, sketch: dict[str, str]) -> dict[str, str]:
        """A sketch says this of itself: the app's properties. Raises IomoteError."""
        note = self._store.note(APP)
        stays = note and note["over"] in (None, sketch)
        app: dict[str, str] = note["is"] if stays else sketch
        if app != self.app() or sketch != self._store.note("sketch"):
            with self._store.transaction() as db:
                write_note(db, "app", app)
                write_note(db, "sketch", sketch)
                if stays:
                    write_note(db, APP, {"is": app, "over": sketch})
        return app

    def write(self, db: sqlite3.Connection, order: OtaOrder) -> None:
        """An order is installed: note that inside a transaction."""
        if order.kind is OtaKind.FIRMWARE:
            write_note(db, FIRMWARE, {"is": order.version, "over": self._settings_fwversion})
            return
        app = of_app(order.name, order.version_numbers)
        write_note(db, "app", app)
        write_note(db, APP, {"is": app, "over": self._store.note("sketch")})
