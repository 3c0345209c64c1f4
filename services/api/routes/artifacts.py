"""What the calls about apps, their versions and firmware share."""

from typing import Annotated

from fastapi import Path, Query

from shared.schemas.artifacts import AppDocument, AppVersionDocument, FirmwareDocument
from shared.schemas.contract import App, AppVersion, Firmware

AppId = Annotated[
    str, Path(alias="appid", description="The APP's `id`.", examples=["a1f0c3d2e4b59687"])
]
AppVersionId = Annotated[
    str,
    Path(
        alias="appversionid", description="The APPVERSION's `id`.", examples=["v7c6b5a4938271605"]
    ),
]
FirmwareId = Annotated[
    str,
    Path(alias="firmwareid", description="The FIRMWARE's `id`.", examples=["f0e1d2c3b4a59687"]),
]
GatewayType = Annotated[
    str,
    Query(
        alias="type",
        max_length=64,
        description="For this type of gateway only.",
        examples=["X400"],
    ),
]


def app_entity(document: AppDocument) -> App:
    """APP."""
    return App(
        id=document.id,
        user_id=document.user_id,
        name=document.name,
        last_app_version_id=document.last_app_version_id,
    )


def version_entity(document: AppVersionDocument, *, with_key: bool) -> AppVersion:
    """APPVERSION. Its download key is for callers with full scope; others see ""."""
    return AppVersion(
        id=document.id,
        app_id=document.app_id,
        dateTime=document.created_at.isoformat(),
        filepath=document.filepath,
        name=document.name,
        version=document.version,
        note=document.note,
        download_key=document.download_key if with_key else "",
        sig_md5=document.sig_md5,
        size=document.size,
    )


def firmware_entity(document: FirmwareDocument, *, with_key: bool) -> Firmware:
    """FIRMWARE. Its download key is for callers with full scope; others see ""."""
    return Firmware(
        id=document.id,
        type=document.type,
        dateTime=document.created_at.isoformat(),
        filepath=document.filepath,
        name=document.name,
        version=document.version,
        note=document.note,
        download_key=document.download_key if with_key else "",
        sig_md5=document.sig_md5,
        size=document.size,
    )
