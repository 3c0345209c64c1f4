"""The platform's firmware, for the api and the operator's tool."""

from typing import Annotated

from fastapi import Query, Request

from services.ota.logic import firmware
from services.ota.logic.firmware import NewFirmware
from services.ota.routes.authorized import Opened, internal_router
from services.ota.routes.binary import ContentMd5, read_binary
from shared.schemas.artifacts import FirmwareDocument
from shared.schemas.contract import Result

router = internal_router()


@router.post("/firmware", status_code=201)
async def upload_firmware(
    request: Request,
    *,
    resources: Opened,
    gateway_type: Annotated[str, Query(alias="type")],
    version: str,
    name: str = "",
    note: str = "",
    content_md5: ContentMd5 = None,
) -> FirmwareDocument:
    """The body is the .bin."""
    incoming = read_binary(request, resources.settings.ota_firmware_max_bytes, content_md5)
    new = NewFirmware(gateway_type, version, name, note)
    return await firmware.upload(resources.stores, resources.signer, new, incoming)


@router.delete("/firmware/{firmware_id}")
async def delete_firmware(resources: Opened, firmware_id: str) -> Result:
    """For ever."""
    await firmware.delete(resources.stores, firmware_id)
    return Result(result="deleted")
