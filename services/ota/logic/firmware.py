"""The platform's firmware: uploading and deleting it."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from services.ota.documents import Upload
from services.ota.logic import names, uploads
from services.ota.logic.deletion import being_sent
from services.ota.logic.signing import Signable, Signer
from services.ota.logic.uploads import Incoming, Received, Stores
from services.ota.store.firmware import HeldFirmware
from shared.errors import Conflict, NotFound
from shared.schemas.artifacts import FirmwareDocument

ATTEMPTS = 5


@dataclass(frozen=True)
class NewFirmware:
    """What is said of a binary."""

    type: str
    version: str
    name: str
    note: str
    id: str = field(default_factory=lambda: f"f{secrets.token_hex(8)}")

    @property
    def filepath(self) -> str:
        """The blob's name."""
        return f"firmware/{self.id}.bin"


async def upload(
    stores: Stores, signer: Signer, new: NewFirmware, incoming: Incoming
) -> FirmwareDocument:
    """Keep a new firmware; nothing is kept of what is refused.

    Raises InvalidRequest, TooLarge, Conflict, Unavailable, and what reading the binary raises.
    """
    names.check_type(new.type)
    names.check_version(new.version)
    names.check_file_name(new.name)
    names.check_note(new.note)
    if await stores.firmware.claimed(new.type, new.name, new.version):
        raise _exists(new)

    async def keep(received: Received) -> FirmwareDocument:
        firmware = _document(signer, new, received)
        if not await uploads.settled(partial(stores.firmware.add, firmware)):
            # An attempt whose reply was lost may have been this very one.
            claimed = await stores.firmware.claimed(new.type, new.name, new.version)
            if claimed != new.id:
                raise _exists(new)
        return firmware

    intent = Upload(id=new.id, kind="firmware", partition=new.type, filepath=new.filepath)
    return await uploads.upload(stores, intent, incoming, keep)


async def delete(stores: Stores, firmware_id: str) -> None:
    """For ever. Raises NotFound, Conflict where it is being sent to a device, Unavailable."""
    for _ in range(ATTEMPTS):
        held = await stores.firmware.get(firmware_id)
        if held is None:
            raise NotFound("There is no firmware of this id.")
        intent = _intent(held.firmware)
        begun = await stores.uploads.begin(intent)
        withdrawn = await _marked(stores, held, deleting=True)
        if withdrawn is None:
            continue
        if job := await stores.in_use.open_job([firmware_id]):
            if await _marked(stores, withdrawn, deleting=False):
                await stores.uploads.unchanged_done(intent.id, begun)
            raise being_sent(job)
        if await stores.firmware.remove(withdrawn):
            await uploads.forget(stores, intent)
            return
    raise Conflict("This firmware is being changed by others at the same time; try again.")


async def _marked(stores: Stores, held: HeldFirmware, *, deleting: bool) -> HeldFirmware | None:
    """None where it changed meanwhile."""
    firmware = held.firmware.model_copy(update={"deleting": deleting})
    etag = await stores.firmware.replace(firmware, held.etag)
    return HeldFirmware(firmware, etag) if etag else None


def _document(signer: Signer, new: NewFirmware, received: Received) -> FirmwareDocument:
    signable = Signable("firmware", new.name, new.version, received.size, received.sha256)
    return FirmwareDocument(
        id=new.id,
        type=new.type,
        name=new.name,
        version=new.version,
        note=new.note,
        created_at=datetime.now(UTC),
        filepath=new.filepath,
        download_key=secrets.token_hex(32),
        sig_md5=received.md5,
        sha256=received.sha256,
        signature=signer.sign(signable),
        size=received.size,
        blob_etag=received.blob_etag,
    )


def _intent(firmware: FirmwareDocument) -> Upload:
    return Upload(
        id=firmware.id,
        kind="firmware",
        partition=firmware.type,
        filepath=firmware.filepath,
        deletion=True,
    )


def _exists(new: NewFirmware) -> Conflict:
    return Conflict(
        f"There is a firmware {new.version} of this name for {new.type} already, and a firmware "
        "never changes; give this one another number."
    )
