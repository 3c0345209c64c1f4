"""Orders to a device to install an app or a firmware (rest-contract.md)."""

from typing import Annotated

from fastapi import Depends, Request, Response

from services.api.logic import ota
from services.api.logic.ota import Order, Stores
from services.api.routes.artifacts import AppId, AppVersionId, FirmwareId
from services.api.routes.dependencies import Caller, DeviceId, Opened
from services.api.routes.errors import refusals
from services.api.routes.idempotency import Idempotent
from services.api.routes.location import set_location
from services.api.routes.router import customer_router
from shared.schemas.contract import Result

router = customer_router("over the air")


def _stores(resources: Opened) -> Stores:
    return Stores(
        devices=resources.devices,
        gateways=resources.gateways,
        apps=resources.apps,
        firmware=resources.firmware,
        ota=resources.ota,
    )


def _order(caller: Caller, device_id: DeviceId, order_id: Idempotent) -> Order:
    return Order(caller.user_id, device_id, order_id, caller.principal.name)


Opener = Annotated[Stores, Depends(_stores)]
Ordered = Annotated[Order, Depends(_order)]


@router.post(
    "/devices/{deviceid}/newapp/{appid}/{appversionid}",
    operation_id="sendNewApp",
    summary="Send a new app",
    responses=refusals(400, 401, 403, 404, 409, 413, 429, 501, 503),
)
async def send_new_app(
    request: Request,
    response: Response,
    *,
    stores: Opener,
    order: Ordered,
    app_id: AppId,
    version_id: AppVersionId,
) -> Result:
    """Have a device install a version of an app. `Location` is the order's JOB, which tells what
    becomes of it; an older one for an app that is still open is superseded."""
    result = await ota.order_app(stores, order, app_id, version_id)
    set_location(request, response, f"/jobs/{order.order_id}")
    return result


@router.post(
    "/devices/{deviceid}/newfirmware/{firmwareid}/NOW",
    operation_id="sendNewFirmware",
    summary="Send a new firmware",
    responses=refusals(400, 401, 403, 404, 409, 413, 429, 501, 503),
)
async def send_new_firmware(
    request: Request,
    response: Response,
    *,
    stores: Opener,
    order: Ordered,
    firmware_id: FirmwareId,
) -> Result:
    """Have a device install a firmware. `Location` is the order's JOB, which tells what becomes of
    it; an older one for a firmware that is still open is superseded."""
    result = await ota.order_firmware(stores, order, firmware_id)
    set_location(request, response, f"/jobs/{order.order_id}")
    return result
