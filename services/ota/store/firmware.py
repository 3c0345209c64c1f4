"""Container `firmware`: the platform's firmware and the claims of its numbers, by gateway type."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from services.ota.documents import FirmwareClaim, claim_id
from services.ota.store import batches
from shared import point
from shared.cosmos import cosmos_call
from shared.schemas.artifacts import FirmwareDocument


@dataclass(frozen=True)
class HeldFirmware:
    """A firmware as it was read, and its ETag."""

    firmware: FirmwareDocument
    etag: str


@dataclass(frozen=True)
class Firmware:
    """Every call raises Unavailable."""

    container: ContainerProxy

    async def get(self, firmware_id: str) -> HeldFirmware | None:
        """By its id alone: all partitions are asked, and there are few."""
        async with cosmos_call():
            found = self.container.query_items(
                "SELECT * FROM c WHERE c.id = @id AND c.kind = 'firmware'",
                parameters=[{"name": "@id", "value": firmware_id}],
            )
            items = [item async for item in found]
        if not items:
            return None
        return HeldFirmware(FirmwareDocument.model_validate(items[0]), items[0]["_etag"])

    async def claimed(self, gateway_type: str, name: str, version: str) -> str:
        """The id of the firmware that has this number; "" where none has."""
        item_id = claim_id(name, version)
        found = await point.read(self.container, FirmwareClaim, item_id, gateway_type)
        return found[0].artifact_id if found else ""

    async def replace(self, firmware: FirmwareDocument, etag: str) -> str | None:
        """Its new ETag; None where it changed or went since it was read."""
        return await point.replace(self.container, firmware, etag)

    async def add(self, firmware: FirmwareDocument) -> bool:
        """With its claim; False where its number is taken."""
        claim = FirmwareClaim(
            id=claim_id(firmware.name, firmware.version),
            type=firmware.type,
            artifact_id=firmware.id,
        )
        operations = [
            batches.create(claim.model_dump(mode="json")),
            batches.create(firmware.model_dump(mode="json")),
        ]
        return await batches.run(self.container, firmware.type, operations) is None

    async def remove(self, held: HeldFirmware) -> bool:
        """With its claim; False where it changed or went."""
        firmware = held.firmware
        operations = [
            batches.delete(firmware.id, held.etag),
            batches.delete(claim_id(firmware.name, firmware.version)),
        ]
        return await batches.run(self.container, firmware.type, operations) is None
