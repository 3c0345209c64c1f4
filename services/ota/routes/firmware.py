"""The platform's firmware, for the api and the operator's tool."""

from typing import Annotated

from fastapi import Query, Request

from services.ota.logic import firmware
from services.ota.logic.firmware import NewFirmware
from services.ota.routes.auditing import audited
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
    async with audited(request, resources, "uploadFirmware", 201) as targets:
        incoming = read_binary(request, resources.settings.ota_firmware_max_bytes, content_md5)
        new = NewFirmware(gateway_type, version, name, note)
        made = await firmware.upload(resources.stores, resources.signer, new, incoming)
        targets["made"] = made.id
        return made


@router.delete("/firmware/{firmware_id}")
async def delete_firmware(request: Request, resources: Opened, firmware_id: str) -> Result:
    """For ever."""
    async with audited(request, resources, "deleteFirmware", 200) as targets:
        await firmware.delete(resources.stores, firmware_id)
        targets["firmware_id"] = firmware_id
        return Result(result="deleted")
