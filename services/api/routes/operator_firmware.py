"""Firmware, which all accounts share: its operator lists, uploads and deletes it."""

from fastapi import Request, Response

from services.api.logic.ota import get_firmware
from services.api.routes.artifacts import FirmwareId, GatewayType, firmware_entity
from services.api.routes.binary import ContentMd5, OfFirmware, binary_body, read_binary
from services.api.routes.dependencies import Opened
from services.api.routes.errors import refusals
from services.api.routes.operator_access import operator_router
from shared.schemas.audit import PLATFORM
from shared.schemas.contract import Firmware, Result

router = operator_router()


@router.get(
    "/firmware",
    operation_id="operatorListFirmware",
    summary="All firmware",
    responses=refusals(400, 401, 429, 501, 503),
)
async def list_firmware(resources: Opened, gateway_type: GatewayType = "") -> list[Firmware]:
    """Newest first."""
    found = await resources.firmware.all(gateway_type)
    return [firmware_entity(each, with_key=True) for each in found]


@router.post(
    "/firmware",
    operation_id="operatorUploadFirmware",
    summary="Upload a firmware",
    status_code=201,
    responses=refusals(400, 401, 408, 409, 413, 415, 429, 501, 503),
    openapi_extra=binary_body(firmware=True),
)
async def upload_firmware(
    request: Request,
    response: Response,
    *,
    resources: Opened,
    said: OfFirmware,
    content_md5: ContentMd5 = None,
) -> Firmware:
    """The body is the .bin as it is, or a form (multipart/form-data) with the .bin as its last
    field, `file`. It is passed on as it comes; where it is cut off, nothing is kept. Every account
    can install it on its gateways of this type."""
    resources.ota.require_installed()
    limit = resources.settings.upload_max_bytes
    with resources.uploading.one_of(PLATFORM):
        binary = await read_binary(request, limit, said=said, md5=content_md5, firmware=True)
        made = await resources.ota.upload_firmware(binary)
    response.headers["Location"] = f"/api/operator/firmware/{made.id}"
    return firmware_entity(made, with_key=True)


@router.get(
    "/firmware/{firmwareid}",
    operation_id="operatorGetFirmware",
    summary="One firmware",
    responses=refusals(400, 401, 404, 429, 501, 503),
)
async def read_firmware(resources: Opened, firmware_id: FirmwareId) -> Firmware:
    """As its accounts see it."""
    return firmware_entity(await get_firmware(resources.firmware, firmware_id), with_key=True)


@router.delete(
    "/firmware/{firmwareid}",
    operation_id="operatorDeleteFirmware",
    summary="Delete a firmware",
    responses=refusals(400, 401, 404, 409, 429, 501, 503),
)
async def delete_firmware(resources: Opened, firmware_id: FirmwareId) -> Result:
    """For ever. Gateways that run it go on running it."""
    await get_firmware(resources.firmware, firmware_id)
    await resources.ota.delete_firmware(firmware_id)
    return Result(result="deleted")
