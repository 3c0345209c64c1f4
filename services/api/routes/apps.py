"""Apps, their versions, and firmware."""

from functools import partial
from typing import Annotated

from fastapi import Depends, Request, Response

from services.api.entities.apps import AppPage, AppVersionPage, NamedApp
from services.api.logic import apps
from services.api.logic.apps import Stores
from services.api.logic.ota import get_firmware
from services.api.routes.artifacts import (
    AppId,
    AppVersionId,
    FirmwareId,
    GatewayType,
    app_entity,
    firmware_entity,
    version_entity,
)
from services.api.routes.binary import ContentMd5, OfVersion, binary_body, read_binary
from services.api.routes.dependencies import Caller, Opened
from services.api.routes.errors import refusals
from services.api.routes.etags import IfMatch, set_etag
from services.api.routes.idempotency import Idempotent
from services.api.routes.location import set_location
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from services.api.routes.router import customer_router
from shared.schemas.contract import App, AppVersion, Firmware, Result

router = customer_router("over the air")


def _stores(resources: Opened) -> Stores:
    return Stores(resources.apps, resources.ota, resources.uploading)


Opener = Annotated[Stores, Depends(_stores)]


@router.get(
    "/apps",
    operation_id="listApps",
    summary="List apps",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_apps(
    stores: Opener, caller: Caller, limit: Limit = DEFAULT_PAGE, cursor: Cursor = ""
) -> AppPage:
    """By name."""
    found, following = await stores.apps.page(caller.user_id, limit, cursor)
    return AppPage(items=[app_entity(each) for each in found], next=following)


@router.post(
    "/apps",
    operation_id="createApp",
    summary="Make an app",
    status_code=201,
    responses=refusals(400, 401, 403, 408, 409, 413, 415, 429, 501, 503),
)
async def create_app(
    request: Request,
    response: Response,
    *,
    stores: Opener,
    caller: Caller,
    order_id: Idempotent,
    body: NamedApp,
) -> App:
    """An app without any version yet: upload them to it."""
    app = await stores.ota.create_app(caller.user_id, order_id, body.name)
    set_location(request, response, f"/apps/{app.id}")
    set_etag(response, apps.tag(app))
    return app_entity(app)


@router.get(
    "/apps/{appid}",
    operation_id="getApp",
    summary="Read an app",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def get_app(response: Response, stores: Opener, caller: Caller, app_id: AppId) -> App:
    """One app; its ETag is of what can be edited, the name."""
    app = await apps.get_app(stores.apps, caller.user_id, app_id)
    set_etag(response, apps.tag(app))
    return app_entity(app)


@router.patch(
    "/apps/{appid}",
    operation_id="updateApp",
    summary="Rename an app",
    responses=refusals(400, 401, 403, 404, 408, 409, 412, 413, 415, 429, 501, 503),
)
async def update_app(
    response: Response,
    *,
    stores: Opener,
    caller: Caller,
    app_id: AppId,
    if_match: IfMatch,
    body: NamedApp,
) -> App:
    """The name alone can be edited."""
    app = await apps.rename(stores, caller.user_id, app_id, body.name, if_match)
    set_etag(response, apps.tag(app))
    return app_entity(app)


@router.delete(
    "/apps/{appid}",
    operation_id="deleteApp",
    summary="Delete an app",
    responses=refusals(400, 401, 403, 404, 409, 429, 501, 503),
)
async def delete_app(stores: Opener, caller: Caller, app_id: AppId) -> Result:
    """With all its versions, for ever. Devices that run it go on running it."""
    await apps.delete_app(stores, caller.user_id, app_id)
    return Result(result="deleted")


@router.get(
    "/apps/{appid}/versions",
    operation_id="listAppVersions",
    summary="List an app's versions",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def list_versions(
    *,
    stores: Opener,
    caller: Caller,
    app_id: AppId,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = "",
) -> AppVersionPage:
    """Newest first. `download_key` is shown to callers with full scope only."""
    found, following = await apps.versions(stores.apps, caller.user_id, app_id, limit, cursor)
    full = caller.principal.full
    items = [version_entity(each, with_key=full) for each in found]
    return AppVersionPage(items=items, next=following)


@router.post(
    "/apps/{appid}/versions",
    operation_id="uploadAppVersion",
    summary="Upload a version of an app",
    status_code=201,
    responses=refusals(400, 401, 403, 404, 408, 409, 413, 415, 429, 501, 503),
    openapi_extra=binary_body(),
)
async def upload_version(
    request: Request,
    response: Response,
    *,
    resources: Opened,
    stores: Opener,
    caller: Caller,
    app_id: AppId,
    said: OfVersion,
    content_md5: ContentMd5 = None,
) -> AppVersion:
    """The body is the .bin as it is, or a form (multipart/form-data) with the .bin as its last
    field, `file`. It is passed on as it comes; where it is cut off, nothing is kept. A version
    never changes: another one needs another number."""
    limit = resources.settings.upload_max_bytes
    read = partial(read_binary, request, limit, said=said, md5=content_md5)
    made = await apps.upload_version(stores, caller.user_id, app_id, read)
    set_location(request, response, f"/apps/{app_id}/versions/{made.id}")
    return version_entity(made, with_key=caller.principal.full)


@router.get(
    "/apps/{appid}/versions/{appversionid}",
    operation_id="getAppVersion",
    summary="Read a version of an app",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def get_version(
    stores: Opener, caller: Caller, app_id: AppId, version_id: AppVersionId
) -> AppVersion:
    """`download_key` is shown to callers with full scope only."""
    found = await apps.get_version(stores.apps, caller.user_id, app_id, version_id)
    return version_entity(found, with_key=caller.principal.full)


@router.delete(
    "/apps/{appid}/versions/{appversionid}",
    operation_id="deleteAppVersion",
    summary="Delete a version of an app",
    responses=refusals(400, 401, 403, 404, 409, 429, 501, 503),
)
async def delete_version(
    stores: Opener, caller: Caller, app_id: AppId, version_id: AppVersionId
) -> Result:
    """For ever. Devices that run it go on running it."""
    await apps.delete_version(stores, caller.user_id, app_id, version_id)
    return Result(result="deleted")


@router.get(
    "/firmware",
    operation_id="listFirmware",
    summary="List firmware",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_firmware(
    resources: Opened,
    caller: Caller,
    gateway_type: GatewayType = "",
) -> list[Firmware]:
    """All that the platform has, newest first; accounts share it. `download_key` is shown to
    callers with full scope only."""
    found = await resources.firmware.all(gateway_type)
    return [firmware_entity(each, with_key=caller.principal.full) for each in found]


@router.get(
    "/firmware/{firmwareid}",
    operation_id="getFirmware",
    summary="Read a firmware",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def read_firmware(resources: Opened, caller: Caller, firmware_id: FirmwareId) -> Firmware:
    """`download_key` is shown to callers with full scope only."""
    found = await get_firmware(resources.firmware, firmware_id)
    return firmware_entity(found, with_key=caller.principal.full)
