"""Orders to a device: a user message, a new app, a new firmware (rest-contract.md)."""

from typing import Annotated

from fastapi import Path, Request

from services.api.logic import ids, user_messages
from services.api.logic.devices import get_device
from services.api.routes.body import read_json_bytes
from services.api.routes.dependencies import Caller, DeviceId, Opened
from services.api.routes.errors import refusals
from services.api.routes.router import customer_router
from shared.errors import NotAvailable
from shared.schemas.contract import Result
from shared.schemas.messages import MAX_USER_MESSAGE_BYTES

router = customer_router("orders")

AppId = Annotated[str, Path(description="The APP's `id`.")]
VersionId = Annotated[str, Path(description="The APPVERSION's `id`.")]
FirmwareId = Annotated[str, Path(description="The FIRMWARE's `id`.")]

_ANY_JSON = {
    "requestBody": {
        "required": True,
        "description": f"Any JSON value, UTF-8, at most {MAX_USER_MESSAGE_BYTES} bytes as sent.",
        "content": {"application/json": {"schema": {}, "example": {"setpoint": 21.5}}},
    }
}


@router.post(
    "/devices/{deviceid}/sendjson",
    operation_id="sendUserMessage",
    summary="Send a user message (cloud to device)",
    responses=refusals(400, 401, 403, 404, 408, 409, 413, 415, 429, 503),
    openapi_extra=_ANY_JSON,
)
async def send_json(
    request: Request, resources: Opened, caller: Caller, device_id: DeviceId
) -> Result:
    """Queued for the gateway byte for byte as sent; it waits two days at most."""
    await user_messages.send(
        resources.devices,
        resources.gateways,
        resources.hub,
        user_id=caller.user_id,
        device_id=device_id,
        body=await read_json_bytes(request, MAX_USER_MESSAGE_BYTES),
    )
    return Result(result="queued")


@router.post(
    "/devices/{deviceid}/newapp/{appid}/{appversionid}",
    operation_id="sendNewApp",
    summary="Send a new app",
    tags=["over the air"],
    responses=refusals(400, 401, 403, 404, 501, 503),
)
async def send_new_app(
    resources: Opened, caller: Caller, device_id: DeviceId, appid: AppId, appversionid: VersionId
) -> Result:
    """Answered by the OTA service, where it is installed."""
    ids.check_ota_id(appid)
    ids.check_ota_id(appversionid)
    await get_device(resources.devices, resources.gateways, caller.user_id, device_id)
    raise _no_ota()


@router.post(
    "/devices/{deviceid}/newfirmware/{firmwareid}/NOW",
    operation_id="sendNewFirmware",
    summary="Send a new firmware",
    tags=["over the air"],
    responses=refusals(400, 401, 403, 404, 501, 503),
)
async def send_new_firmware(
    resources: Opened, caller: Caller, device_id: DeviceId, firmwareid: FirmwareId
) -> Result:
    """Answered by the OTA service, where it is installed."""
    ids.check_ota_id(firmwareid)
    await get_device(resources.devices, resources.gateways, caller.user_id, device_id)
    raise _no_ota()


def _no_ota() -> NotAvailable:
    return NotAvailable(
        "This installation has no OTA service; apps and firmware cannot be sent from here."
    )
