"""Apps and their versions: reading them, and having the OTA service change them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.api.logic.ids import check_ota_id
from services.api.logic.uploading import Uploading
from services.api.logic.versions import require_unchanged, tag_of
from services.api.store.apps import Apps
from services.api.store.ota import Binary, Ota
from shared.errors import Changed, Conflict, NotFound
from shared.schemas.artifacts import AppDocument, AppVersionDocument

ATTEMPTS = 5


@dataclass(frozen=True)
class Stores:
    """What this reads, and who changes it."""

    apps: Apps
    ota: Ota
    uploading: Uploading


def tag(app: AppDocument) -> str:
    """The version of what people may edit of an app."""
    return tag_of(app.name)


async def get_app(apps: Apps, user_id: str, app_id: str) -> AppDocument:
    """Raises InvalidRequest, NotFound."""
    return (await _get(apps, user_id, app_id))[0]


async def get_version(apps: Apps, user_id: str, app_id: str, version_id: str) -> AppVersionDocument:
    """Raises InvalidRequest, NotFound."""
    found = await apps.version(user_id, check_ota_id(app_id), check_ota_id(version_id))
    if found is None:
        raise NotFound(
            "This account has no such version of such an app; GET .../apps/{appid}/versions lists "
            "those it has."
        )
    return found


async def versions(
    apps: Apps, user_id: str, app_id: str, limit: int, cursor: str
) -> tuple[list[AppVersionDocument], str]:
    """Some versions of an app, newest first. Raises InvalidRequest, NotFound."""
    found = await apps.versions(user_id, check_ota_id(app_id), limit, cursor)
    if not found[0]:
        await _get(apps, user_id, app_id)
    return found


async def rename(
    stores: Stores, user_id: str, app_id: str, name: str, if_match: str | None
) -> AppDocument:
    """The app after it. Raises InvalidRequest, NotFound, Changed, and what `Ota` raises."""
    for _ in range(ATTEMPTS):
        app, etag = await _get(stores.apps, user_id, app_id)
        require_unchanged(if_match, tag(app))
        try:
            return await stores.ota.rename_app(user_id, app_id, name, etag)
        except Changed:  # a version was added, perhaps: not what people edit
            continue
    raise Conflict("This app is being changed by others at the same time; try again.")


async def delete_app(stores: Stores, user_id: str, app_id: str) -> None:
    """With all its versions. Raises InvalidRequest, NotFound, and what `Ota` raises."""
    await _get(stores.apps, user_id, app_id)
    await stores.ota.delete_app(user_id, app_id)


async def upload_version(
    stores: Stores,
    user_id: str,
    app_id: str,
    read: Callable[[], Awaitable[Binary]],
) -> AppVersionDocument:
    """What is wrong already is said before all of the body is read.

    Raises NotAvailable, InvalidRequest, NotFound, Conflict, TooMany, and what `read` and `Ota`
    raise.
    """
    check_ota_id(app_id)
    stores.ota.require_installed()
    await _get(stores.apps, user_id, app_id)
    with stores.uploading.one_of(user_id):
        binary = await read()
        if await stores.apps.has_version(user_id, app_id, binary.version):
            raise Conflict(
                f"This app has the version {binary.version} already, and a version never changes; "
                "give this one another number."
            )
        return await stores.ota.upload_version(user_id, app_id, binary)


async def delete_version(stores: Stores, user_id: str, app_id: str, version_id: str) -> None:
    """Raises InvalidRequest, NotFound, and what `Ota` raises."""
    await get_version(stores.apps, user_id, app_id, version_id)
    await stores.ota.delete_version(user_id, app_id, version_id)


async def _get(apps: Apps, user_id: str, app_id: str) -> tuple[AppDocument, str]:
    found = await apps.get(user_id, check_ota_id(app_id))
    if found is None:
        raise NotFound("This account has no app of this id; GET .../apps lists those it has.")
    return found
