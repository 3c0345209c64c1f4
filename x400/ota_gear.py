"""What updates over the air are given of their gateway."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from x400.errors import IomoteError
from x400.faults import Faults
from x400.installed import Installed
from x400.ota_trust import TrustedKeys
from x400.settings import GatewaySettings
from x400.store import Store
from x400.twin import Json


@dataclass(frozen=True)
class Gear:
    """What the updates of a gateway share."""

    device_id: str
    settings: GatewaySettings
    store: Store
    keys: TrustedKeys
    faults: Faults
    installed: Installed
    online: asyncio.Event  # set while there is a network
    installing: asyncio.Lock
    clock: Callable[[], float]


@dataclass(frozen=True)
class Hooks:
    """What an update does to the rest of the gateway."""

    report: Callable[[Json], None]  # a patch of the twin; raises IomoteError
    desired: Callable[[], Json]  # as last received
    app_installed: Callable[[str], None]
    firmware_installed: Callable[[str], None]  # resets the gateway
    power_lost: Callable[[], None]
    fault: Callable[[IomoteError], None]
