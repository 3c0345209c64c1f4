"""What the OTA service opens when it starts and closes when it stops."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from services.ota.logic.chunks import Chunks
from services.ota.logic.downloads import Downloads
from services.ota.logic.installables import Installables
from services.ota.logic.job_limits import Limits
from services.ota.logic.joined import Joined
from services.ota.logic.places import Places
from services.ota.logic.refusals import Refusals
from services.ota.logic.signing import Signer
from services.ota.logic.together import Together
from services.ota.logic.uploads import Stores
from services.ota.logic.worker import Addresses, Worker
from services.ota.logic.worker import Stores as WorkerStores
from services.ota.settings import OtaSettings
from services.ota.store.apps import Apps
from services.ota.store.audit import Audit
from services.ota.store.blob_reading import BlobReading
from services.ota.store.blobs import Blobs
from services.ota.store.downloads import DownloadDocuments, read_documents
from services.ota.store.firmware import Firmware
from services.ota.store.gateways import Gateways
from services.ota.store.in_use import InUse
from services.ota.store.jobs import Jobs
from services.ota.store.timeline import Timeline
from services.ota.store.uploads import Uploads
from shared.clients import AzureClients, open_azure
from shared.database import APPS, AUDIT, DEVICES, FIRMWARE, GATEWAYS, JOBS, TIMELINE, UPLOADS
from shared.iothub import IotHub, open_iot_hub
from shared.rate_limit import RateLimit
from shared.wrong_keys import new_wrong_keys


@dataclass(frozen=True)
class Resources:
    """Stores and the hub, each safe for use by many requests at once."""

    settings: OtaSettings
    azure: AzureClients
    hub: IotHub
    stores: Stores
    signer: Signer
    downloads: Downloads
    refusals: Refusals
    worker: Worker


@asynccontextmanager
async def open_resources(settings: OtaSettings) -> AsyncIterator[Resources]:
    """Nothing is connected yet: each client connects at its first use."""
    async with open_azure(settings) as azure, open_iot_hub(azure) as hub:
        database = azure.database
        documents = DownloadDocuments(
            apps=database.get_container_client(APPS.name),
            firmware_versions=database.get_container_client(FIRMWARE.name),
            jobs=Together(partial(read_documents, database.get_container_client(JOBS.name))),
            gateways=database.get_container_client(GATEWAYS.name),
            devices=Together(partial(read_documents, database.get_container_client(DEVICES.name))),
        )
        container = azure.blob.get_container_client(settings.ota_container)
        stores = Stores(
            apps=Apps(database.get_container_client(APPS.name)),
            firmware=Firmware(database.get_container_client(FIRMWARE.name)),
            uploads=Uploads(database.get_container_client(UPLOADS.name)),
            blobs=Blobs(container),
            in_use=InUse(database.get_container_client(JOBS.name)),
        )
        reading = BlobReading(container)
        signer = Signer.of(settings.ota_signing_keys)
        jobs = WorkerStores(
            jobs=Jobs(database.get_container_client(JOBS.name)),
            gateways=Gateways(database.get_container_client(GATEWAYS.name)),
            timeline=Timeline(database.get_container_client(TIMELINE.name)),
            installables=Installables(stores.apps, stores.firmware, signer),
            hub=hub,
        )
        yield Resources(
            settings=settings,
            azure=azure,
            hub=hub,
            stores=stores,
            signer=signer,
            downloads=Downloads(
                documents=documents,
                check=Joined(reading.check),
                firmware=Joined(documents.firmware),
                chunks=Chunks(reading.read),
                wrong_keys=new_wrong_keys(settings.wrong_keys_per_minute),
                ticket_key=settings.ota_ticket_key,
                places=Places(
                    at_once=settings.ota_downloads_at_once,
                    of_account=settings.ota_downloads_of_account,
                    of_job=settings.ota_downloads_of_job,
                ),
            ),
            refusals=Refusals(
                Audit(database.get_container_client(AUDIT.name)),
                documents,
                RateLimit(settings.ota_refusals_per_minute),
            ),
            worker=Worker(
                jobs,
                limits_of(settings),
                Addresses(settings.ota_public_url, settings.ota_ticket_key),
            ),
        )


def limits_of(settings: OtaSettings) -> Limits:
    """How long jobs wait for what."""
    return Limits(
        attempts=settings.ota_attempts,
        order_life=settings.ota_order_life,
        answer_wait=settings.ota_answer_wait,
        progress_wait=settings.ota_progress_wait,
        install_wait=settings.ota_install_wait,
        retry_first=settings.ota_retry_first,
        ticket_life=settings.ota_ticket_life,
        kept=settings.ota_jobs_kept,
    )
