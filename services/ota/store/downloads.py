"""What a download is allowed by, read as it is now: jobs, artifacts, gateways, devices."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from services.ota.logic.together import Together
from shared import point
from shared.cosmos import cosmos_call
from shared.schemas.artifacts import AppVersionDocument, FirmwareDocument
from shared.schemas.documents import DeviceDocument, Gateway, Pairing
from shared.schemas.jobs import Job

Key = tuple[str, str]  # id and account
Item = Mapping[str, Any]


@dataclass(frozen=True)
class DownloadDocuments:
    """Reads only. Every call raises Unavailable."""

    apps: ContainerProxy
    firmware_versions: ContainerProxy
    jobs: Together[Key, Item]
    gateways: ContainerProxy
    devices: Together[Key, Item]

    async def job(self, user_id: str, job_id: str) -> Job | None:
        """A point read, together with others."""
        found = await self.jobs.get((job_id, user_id))
        return Job.model_validate(found) if found else None

    async def pairing(self, device_id: str) -> Pairing | None:
        """A point read: the pairing in force. None where nobody has the device."""
        found = await point.read(self.gateways, Gateway, device_id, device_id)
        last = found[0].pairings[-1] if found and found[0].pairings else None
        return last if last and last.ended_at is None else None

    async def device(self, user_id: str, device_id: str) -> DeviceDocument | None:
        """A point read, together with others: the device's key."""
        found = await self.devices.get((device_id, user_id))
        return DeviceDocument.model_validate(found) if found else None

    async def app_version(self, user_id: str, version_id: str) -> AppVersionDocument | None:
        """A point read."""
        try:
            async with cosmos_call():
                item = await self.apps.read_item(version_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return None
        return AppVersionDocument.model_validate(item) if item["kind"] == "version" else None

    async def firmware(self, filepath: str) -> FirmwareDocument | None:
        """By the index over all types of gateways: there are few firmware versions."""
        found = self.firmware_versions.query_items(
            "SELECT * FROM c WHERE c.filepath = @filepath",
            parameters=[{"name": "@filepath", "value": filepath}],
        )
        async with cosmos_call():
            items = [item async for item in found]
        return FirmwareDocument.model_validate(items[0]) if items else None


async def read_documents(container: ContainerProxy, keys: Sequence[Key]) -> Mapping[Key, Item]:
    """Those that there are, of a container whose partition key is /user_id, in one call.

    One alone is a point read. Raises Unavailable.
    """
    if len(keys) > 1:
        async with cosmos_call():
            items = await container.read_items(list(keys))
        return {(item["id"], item["user_id"]): item for item in items}
    try:
        async with cosmos_call():
            item = await container.read_item(keys[0][0], partition_key=keys[0][1])
    except CosmosResourceNotFoundError:
        return {}
    return {keys[0]: item}
