"""Calls of the OTA service about apps and firmware, as the api makes them."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx
from azure.core.exceptions import ResourceNotFoundError

from services.ota.resources import Resources
from shared.schemas.artifacts import AppDocument, AppVersionDocument
from tests.known_secrets import keep

BINARY = {"Content-Type": "application/octet-stream"}
LIMIT = 256 * 1024
USER = "u00artifacts"
BASE = f"/internal/accounts/{USER}/apps"


async def make_app(ota_client: httpx.AsyncClient, name: str = "Pump control") -> AppDocument:
    reply = await ota_client.post(BASE, json={"id": str(uuid.uuid4()), "name": name})
    assert reply.status_code == 201, reply.text
    return AppDocument.model_validate_json(reply.content)


async def upload(
    ota_client: httpx.AsyncClient, app: AppDocument, body: Any, **more: Any
) -> httpx.Response:
    headers = more.pop("headers", {})
    reply = await ota_client.post(
        f"{BASE}/{app.id}/versions",
        params={"version": "1.0.0", "name": "pump.bin", "note": "New."} | more,
        content=body,
        headers=BINARY | headers,
    )
    if reply.status_code == 201:
        keep(reply.json()["download_key"])
    return reply


async def uploaded(
    ota_client: httpx.AsyncClient, app: AppDocument, body: Any, **more: Any
) -> AppVersionDocument:
    reply = await upload(ota_client, app, body, **more)
    assert reply.status_code == 201, reply.text
    return AppVersionDocument.model_validate_json(reply.content)


def refused(reply: httpx.Response, status: int) -> str:
    assert reply.status_code == status, reply.text
    assert list(reply.json()) == ["error"]
    sentence: str = reply.json()["error"]
    return sentence


async def blobs_of(ota: Resources, prefix: str) -> set[str]:
    """Blobs, also such as have blocks alone."""
    found = ota.stores.blobs.container.list_blobs(
        name_starts_with=prefix, include=["uncommittedblobs"]
    )
    try:
        return {blob.name async for blob in found}
    except ResourceNotFoundError:  # the first upload makes the container
        return set()


async def until(look: Callable[[], Awaitable[object]], wanted: object) -> None:
    """Raises TimeoutError where it is not so within half a minute."""
    async with asyncio.timeout(30):
        while await look() != wanted:  # noqa: ASYNC110 - of another process
            await asyncio.sleep(0.02)


async def nothing_is_left(ota: Resources, app: AppDocument, kept: Iterable[str] = ()) -> None:
    """No blob, no blocks, no intent, no document, but what was there before."""
    assert await blobs_of(ota, f"apps/{USER}/") == set(kept)
    assert await intents(ota) == []
    versions = await ota.stores.apps.versions(USER, app.id)
    assert {each.version.filepath for each in versions} <= set(kept)


async def under_way(ota: Resources, user_id: str = USER) -> int:
    """How many uploads and deletions of an account have begun."""
    return len(await intents(ota, user_id))


async def intents(ota: Resources, user_id: str = USER) -> list[str]:
    """Ids of an account's binaries on their way in or out."""
    found = ota.stores.uploads.container.query_items(
        "SELECT VALUE c.id FROM c WHERE c.partition = @user",
        parameters=[{"name": "@user", "value": user_id}],
    )
    return [str(item) async for item in found]
