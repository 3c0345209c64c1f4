"""Files to download, as an upload and an order leave them: a blob, its document, a job."""

import contextlib
import hashlib
import secrets
import time
import uuid
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from azure.core.exceptions import ResourceExistsError

from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources as ApiResources
from services.ota.logic import proof, tickets
from services.ota.resources import Resources
from shared import point
from shared.database import APPS, AUDIT, FIRMWARE, JOBS
from shared.schemas.artifacts import AppVersionDocument, FirmwareDocument
from shared.schemas.audit import AuditRecord
from shared.schemas.jobs import Job, JobKind, JobState
from tests.api.customers import Customer
from tests.known_secrets import keep


@dataclass(frozen=True)
class Served:
    """A stored file and what opens it."""

    filepath: str
    content: bytes
    key: str
    etag: str  # of Blob Storage

    @property
    def path(self) -> str:
        return f"/download/{self.filepath}"

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    @property
    def md5(self) -> str:
        return b64encode(hashlib.md5(self.content).digest()).decode()


@dataclass(frozen=True)
class Ordered:
    """A job, and how its device asks for the file."""

    job: Job
    device_key: str
    ticket: str

    @property
    def path(self) -> str:
        return tickets.path_of(self.job.device_id, self.job.id)

    def headers(self, method: str = "GET", *, key: str = "", **changes: str) -> dict[str, str]:
        """With a fresh proof. `changes`: path or ticket of another request."""
        made = proof.make(
            key or self.device_key,
            method=method,
            path=changes.get("path", self.path),
            ticket=changes.get("ticket", self.ticket),
            now=datetime.now(UTC),
        )
        return {proof.HEADER: made}


async def store_blob(ota: Resources, name: str, content: bytes) -> str:
    """Returns its ETag."""
    container = ota.azure.blob.get_container_client(ota.settings.ota_container)
    with contextlib.suppress(ResourceExistsError):
        await container.create_container()
    made = await container.upload_blob(name, content, overwrite=True)
    return str((await made.get_blob_properties()).etag)


async def serve_app(ota: Resources, user_id: str, content: bytes) -> Served:
    version_id = uuid.uuid4().hex
    filepath = f"apps/{user_id}/{version_id}.bin"
    served = Served(
        filepath, content, secrets.token_hex(16), await store_blob(ota, filepath, content)
    )
    keep(served.key)
    document = AppVersionDocument(
        id=version_id, user_id=user_id, app_id=str(uuid.uuid4()), **_fields(served)
    )
    apps = ota.azure.database.get_container_client(APPS.name)
    await point.create(apps, document)
    return served


async def serve_firmware(ota: Resources, content: bytes) -> Served:
    firmware_id = uuid.uuid4().hex
    filepath = f"firmware/{firmware_id}.bin"
    served = Served(
        filepath, content, secrets.token_hex(16), await store_blob(ota, filepath, content)
    )
    keep(served.key)
    document = FirmwareDocument(id=firmware_id, type="X400", **_fields(served))
    await point.create(ota.azure.database.get_container_client(FIRMWARE.name), document)
    return served


def _fields(served: Served) -> dict[str, object]:
    return {
        "name": "Blinky",
        "version": "1.2.0",
        "created_at": datetime.now(UTC),
        "filepath": served.filepath,
        "download_key": served.key,
        "sig_md5": served.md5,
        "sha256": served.sha256,
        "signature": "",
        "size": len(served.content),
        "blob_etag": served.etag,
    }


async def order(
    api: ApiResources,
    ota: Resources,
    served: Served,
    customer: Customer,
    gateway: Manufactured,
    state: JobState = JobState.SENT,
    life: timedelta = timedelta(hours=1),
) -> Ordered:
    """A job of a gateway that is paired with a customer."""
    device = await api.devices.get(customer.user_id, gateway.device_id)
    assert device is not None
    now = datetime.now(UTC)
    job = Job(
        id=str(uuid.uuid4()),
        user_id=customer.user_id,
        kind=JobKind.FIRMWARE if served.filepath.startswith("firmware") else JobKind.APP,
        device_id=gateway.device_id,
        paired_at=device.paired_at,
        artifact_id="artifact",
        name="Blinky",
        version="1.2.0",
        size=len(served.content),
        md5=served.md5,
        sha256=served.sha256,
        filepath=served.filepath,
        blob_etag=served.etag,
        ordered_by="test",
        created_at=now,
        state=state,
        state_at=now,
    )
    await point.create(ota.azure.database.get_container_client(JOBS.name), job)
    ticket = tickets.make(
        ota.settings.ota_ticket_key,
        user_id=job.user_id,
        device_id=job.device_id,
        job_id=job.id,
        sha256=job.sha256,
        expires_at=now + life,
    )
    keep(ticket)
    return Ordered(job, gateway.device_key, ticket)


async def records(ota: Resources, user_id: str, operation: str, since: float) -> list[AuditRecord]:
    """What the audit log has of an account since a moment of `time.time()`."""
    found = ota.azure.database.get_container_client(AUDIT.name).query_items(
        "SELECT * FROM c WHERE c.operation = @operation AND c.at >= @since ORDER BY c.at",
        parameters=[
            {"name": "@operation", "value": operation},
            {
                "name": "@since",
                "value": datetime.fromtimestamp(since, UTC).isoformat(timespec="microseconds"),
            },
        ],
        partition_key=user_id,
    )
    return [AuditRecord.model_validate(item) async for item in found]


def now() -> float:
    return time.time()
