"""What can be ordered to a device, be it a version of an app or a firmware."""

import asyncio
from dataclasses import dataclass, replace

from services.ota.logic.signing import Signable, Signer
from services.ota.store.apps import Apps
from services.ota.store.firmware import Firmware
from shared.schemas.artifacts import AppVersionDocument, FirmwareDocument
from shared.schemas.jobs import Job, JobKind


@dataclass(frozen=True)
class Installable:
    """`name`: of an app its own, which the program gives itself. `type`: of the gateways that a
    firmware is for; "" for an app."""

    kind: JobKind
    app_id: str
    name: str
    type: str
    document: AppVersionDocument | FirmwareDocument

    @property
    def signed_name(self) -> str:
        """The name that the signature of the upload has."""
        if isinstance(self.document, FirmwareDocument):
            return self.document.name
        return self.document.app_name or self.name  # older documents do not have it


@dataclass(frozen=True)
class Installables:
    """Every call raises Unavailable, and gives None for what is not there."""

    apps: Apps
    firmware: Firmware
    signer: Signer

    async def app_version(self, user_id: str, app_id: str, version_id: str) -> Installable | None:
        """A version of an app of the account."""
        app, held = await asyncio.gather(
            self.apps.app(user_id, app_id), self.apps.version(user_id, version_id)
        )
        if app is None or held is None or held.version.app_id != app_id:
            return None
        return Installable(JobKind.APP, app_id, app.app.name, "", held.version)

    async def firmware_version(self, firmware_id: str) -> Installable | None:
        """A firmware of the platform."""
        held = await self.firmware.get(firmware_id)
        if held is None:
            return None
        found = held.firmware
        return Installable(JobKind.FIRMWARE, "", found.name, found.type, found)

    async def of_job(self, job: Job) -> Installable | None:
        """What a job installs."""
        if job.kind is JobKind.FIRMWARE:
            return await self.firmware_version(job.artifact_id)
        return await self.app_version(job.user_id, job.app_id, job.artifact_id)

    def signature(self, found: Installable, name: str) -> str | None:
        """Base64, by the first key, of `found` under `name`, which an app may have changed.

        None where no key of today's signed it at its upload: its document was changed since, or
        that key was taken away.
        """
        document = found.document
        uploaded = Signable(
            found.kind.value, found.signed_name, document.version, document.size, document.sha256
        )
        if not self.signer.made(uploaded, document.signature):
            return None
        return self.signer.sign(replace(uploaded, name=name))
