"""Updates over the air: one order for the app and one for the firmware, each at its own pace."""

import asyncio
from collections.abc import Callable, Mapping

from x400.faults import Faults
from x400.installed import Installed
from x400.ota_gear import Gear, Hooks
from x400.ota_order import OtaKind
from x400.ota_trust import TrustedKeys
from x400.ota_update import Update
from x400.settings import GatewaySettings
from x400.store import Store
from x400.twin import Json


class Updates:
    """Both of a gateway, for one life of its Core."""

    def __init__(
        self,
        *,
        settings: GatewaySettings,
        device_id: str,
        store: Store,
        hooks: Hooks,
        clock: Callable[[], float],
    ) -> None:
        self.faults = Faults(store)
        self.installed = Installed(store, settings.fwversion)
        self._online = asyncio.Event()
        gear = Gear(
            device_id=device_id,
            settings=settings,
            store=store,
            keys=TrustedKeys(store, settings.ota_public_keys),
            faults=self.faults,
            installed=self.installed,
            online=self._online,
            installing=asyncio.Lock(),
            clock=clock,
        )
        self._updates = [Update(kind, gear, hooks) for kind in OtaKind]

    def set_online(self, *, online: bool) -> None:
        """Tell whether there is a network."""
        if online:
            self._online.set()
        else:
            self._online.clear()

    def obey(self, desired: Mapping[str, object]) -> None:
        """Do what the desired properties order. Raises IomoteError."""
        for update in self._updates:
            update.obey(desired.get(update.kind.property))

    def reports(self) -> Json:
        """The reported properties of both, where there is something to tell."""
        return {u.kind.property: u.report for u in self._updates if u.report is not None}

    def forget(self) -> None:
        """Another owner: no order of the former one goes on. Raises IomoteError."""
        for update in self._updates:
            update.forget()

    async def stop(self) -> None:
        """The Core's life ends: what is under way goes on in the next one."""
        for update in self._updates:
            await update.stop()
