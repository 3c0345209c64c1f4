"""Container `apps`: apps and their versions, one partition for each account.

The OTA service writes it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from services.api.store.pages import read_page
from shared.cosmos import cosmos_call
from shared.schemas.artifacts import AppDocument, AppVersionDocument


@dataclass(frozen=True)
class Apps:
    """Every call stays within one partition."""

    container: ContainerProxy

    async def get(self, user_id: str, app_id: str) -> tuple[AppDocument, str] | None:
        """A point read, with the ETag under which the OTA service changes it."""
        item = await self._read(user_id, app_id)
        if item is None or item["kind"] != "app":
            return None
        return AppDocument.model_validate(item), item["_etag"]

    async def page(
        self, user_id: str, limit: int, cursor: str = ""
    ) -> tuple[list[AppDocument], str]:
        """Some apps by name, and the next page's cursor. Raises InvalidRequest."""
        found = await read_page(
            self.container,
            "SELECT * FROM c WHERE c.kind = 'app' ORDER BY c.name",
            {},
            user_id,
            limit=limit,
            cursor=cursor,
        )
        return [AppDocument.model_validate(item) for item in found.items], found.next

    async def version(
        self, user_id: str, app_id: str, version_id: str
    ) -> AppVersionDocument | None:
        """A point read; None also for a version of another app."""
        item = await self._read(user_id, version_id)
        if item is None or item["kind"] != "version" or item["app_id"] != app_id:
            return None
        return AppVersionDocument.model_validate(item)

    async def versions(
        self, user_id: str, app_id: str, limit: int, cursor: str = ""
    ) -> tuple[list[AppVersionDocument], str]:
        """Some versions, newest first, and the next page's cursor. Raises InvalidRequest."""
        found = await read_page(
            self.container,
            "SELECT * FROM c WHERE c.kind = 'version' AND c.app_id = @app "
            "ORDER BY c.created_at DESC",
            {"@app": app_id},
            user_id,
            limit=limit,
            cursor=cursor,
        )
        return [AppVersionDocument.model_validate(item) for item in found.items], found.next

    async def has_version(self, user_id: str, app_id: str, version: str) -> bool:
        """Whether the app has this version, "a.b.c"."""
        found = await read_page(
            self.container,
            "SELECT c.id FROM c WHERE c.kind = 'version' AND c.app_id = @app "
            "AND c.version = @version",
            {"@app": app_id, "@version": version},
            user_id,
            limit=1,
        )
        return bool(found.items)

    async def _read(self, user_id: str, item_id: str) -> Mapping[str, Any] | None:
        try:
            async with cosmos_call():
                return await self.container.read_item(item_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return None
