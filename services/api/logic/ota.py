"""Orders to install an app or a firmware; the OTA service carries them out."""

import asyncio
from dataclasses import dataclass

from services.api.logic.apps import get_version
from services.api.logic.devices import no_such_device
from services.api.logic.ids import check_ota_id
from services.api.logic.intervals import owner_of
from services.api.store.apps import Apps
from services.api.store.devices import Devices
from services.api.store.firmware import FirmwareVersions
from services.api.store.gateways import Gateways
from services.api.store.ota import Ota
from shared.errors import NotFound
from shared.schemas.artifacts import FirmwareDocument
from shared.schemas.contract import Result


@dataclass(frozen=True)
class Stores:
    """What an order is checked against, and who takes it."""

    devices: Devices
    gateways: Gateways
    apps: Apps
    firmware: FirmwareVersions
    ota: Ota


@dataclass(frozen=True)
class Order:
    """Which device is meant, by whom, and under which id: the same id is the same order."""

    user_id: str
    device_id: str
    order_id: str
    ordered_by: str


async def get_firmware(firmware: FirmwareVersions, firmware_id: str) -> FirmwareDocument:
    """Raises InvalidRequest, NotFound."""
    found = await firmware.get(check_ota_id(firmware_id))
    if found is None:
        raise NotFound("There is no firmware of this id; GET .../firmware lists what there is.")
    return found


async def order_app(stores: Stores, order: Order, app_id: str, version_id: str) -> Result:
    """Raises InvalidRequest, NotFound, and what `Ota` raises."""
    check_ota_id(app_id)
    check_ota_id(version_id)
    await _require_owned(stores, order)
    stores.ota.require_installed()
    await get_version(stores.apps, order.user_id, app_id, version_id)
    return await stores.ota.order_app(
        order.user_id,
        order.device_id,
        order_id=order.order_id,
        app_id=app_id,
        version_id=version_id,
        ordered_by=order.ordered_by,
    )


async def order_firmware(stores: Stores, order: Order, firmware_id: str) -> Result:
    """Raises InvalidRequest, NotFound, and what `Ota` raises."""
    check_ota_id(firmware_id)
    await _require_owned(stores, order)
    stores.ota.require_installed()
    await get_firmware(stores.firmware, firmware_id)
    return await stores.ota.order_firmware(
        order.user_id,
        order.device_id,
        order_id=order.order_id,
        firmware_id=firmware_id,
        ordered_by=order.ordered_by,
    )


async def _require_owned(stores: Stores, order: Order) -> None:
    """The account's view may outlive an unpairing that was interrupted; the inventory is the
    truth about who may order something of a gateway. Raises NotFound."""
    document, gateway = await asyncio.gather(
        stores.devices.get(order.user_id, order.device_id),
        stores.gateways.get(order.device_id),
    )
    if document is None or gateway is None or owner_of(gateway[0]) != order.user_id:
        raise no_such_device()
