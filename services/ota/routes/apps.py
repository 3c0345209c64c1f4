"""Apps and their versions, for the api (services/api/store/ota.py says what it may ask)."""

from typing import Annotated

from fastapi import Header, Request
from pydantic import BaseModel

from services.ota.logic import apps
from services.ota.logic.apps import NewVersion
from services.ota.routes.authorized import Opened, internal_router
from services.ota.routes.binary import ContentMd5, read_binary
from shared.schemas.artifacts import AppDocument, AppVersionDocument
from shared.schemas.contract import Result

router = internal_router()


class NewApp(BaseModel):
    """`id`: made by whoever asks, so that asking twice makes one app."""

    id: str
    name: str


class Renamed(BaseModel):
    """What of an app can change."""

    name: str


@router.post("/accounts/{user_id}/apps", status_code=201)
async def create_app(resources: Opened, user_id: str, new: NewApp) -> AppDocument:
    """An app without any version yet."""
    return await apps.create(resources.stores, user_id, new.id, new.name)


@router.patch("/accounts/{user_id}/apps/{app_id}")
async def rename_app(
    resources: Opened,
    user_id: str,
    app_id: str,
    new: Renamed,
    if_match: Annotated[str, Header()],
) -> AppDocument:
    """If it is the one of If-Match still."""
    return await apps.rename(resources.stores, user_id, app_id, new.name, if_match)


@router.delete("/accounts/{user_id}/apps/{app_id}")
async def delete_app(resources: Opened, user_id: str, app_id: str) -> Result:
    """With all its versions."""
    await apps.delete(resources.stores, user_id, app_id)
    return Result(result="deleted")


@router.post("/accounts/{user_id}/apps/{app_id}/versions", status_code=201)
async def upload_version(
    request: Request,
    *,
    resources: Opened,
    user_id: str,
    app_id: str,
    version: str,
    name: str = "",
    note: str = "",
    content_md5: ContentMd5 = None,
) -> AppVersionDocument:
    """The body is the .bin."""
    incoming = read_binary(request, resources.settings.ota_app_max_bytes, content_md5)
    new = NewVersion(user_id, app_id, version, name, note)
    return await apps.upload(resources.stores, resources.signer, new, incoming)


@router.delete("/accounts/{user_id}/apps/{app_id}/versions/{version_id}")
async def delete_version(resources: Opened, user_id: str, app_id: str, version_id: str) -> Result:
    """For ever."""
    await apps.delete_version(resources.stores, user_id, app_id, version_id)
    return Result(result="deleted")
