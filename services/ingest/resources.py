"""What ingest opens when it starts and closes when it stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from azure.cosmos.aio import DatabaseProxy
from azure.eventhub.aio import EventHubConsumerClient

from services.ingest.consumer import Consumer
from services.ingest.logic.pipeline import Pipeline
from services.ingest.settings import IngestSettings
from services.ingest.store.checkpoints import PositionCheckpoints
from services.ingest.store.device_state import DeviceStateStore
from services.ingest.store.directory import Directory
from services.ingest.store.ledgers import LedgerStore
from services.ingest.store.queues import AccountQueues
from services.ingest.store.records import RecordStore
from services.ingest.store.retry import persistently
from shared.clients import open_azure
from shared.database import DEVICES, STREAM
from shared.settings import AzureSettings


@dataclass(frozen=True)
class Resources:
    """What ingest holds open."""

    database: DatabaseProxy
    stream: EventHubConsumerClient
    directory: Directory
    pipeline: Pipeline
    consumer: Consumer


@asynccontextmanager
async def open_resources(
    azure_settings: AzureSettings, settings: IngestSettings
) -> AsyncIterator[Resources]:
    """Open everything, waiting for what does not answer yet; closed at the end."""
    async with open_azure(azure_settings) as azure:
        database = azure.database
        await persistently("reach Cosmos DB", database.read)
        queues = AccountQueues(
            azure.service_bus,
            max_senders=settings.max_senders,
            concurrent_sends=settings.concurrent_sends,
        )
        directory = Directory(
            database,
            size=settings.cache_size,
            feed_seconds=settings.feed_seconds,
            stale_seconds=settings.feed_stale_seconds,
        )
        pipeline = _pipeline(settings, database, directory, queues)
        blobs = await persistently("open the checkpoints", azure.checkpoint_store)
        positions = database.get_container_client(STREAM.name)
        stream = azure.event_consumer(PositionCheckpoints(blobs, positions))
        consumer = Consumer(stream, pipeline, settings)
        try:
            yield Resources(database, stream, directory, pipeline, consumer)
        finally:
            await queues.close()


def _pipeline(
    settings: IngestSettings, database: DatabaseProxy, directory: Directory, queues: AccountQueues
) -> Pipeline:
    slots = asyncio.Semaphore(settings.concurrent_writes)
    return Pipeline(
        settings=settings,
        ledgers=LedgerStore(database.get_container_client(STREAM.name)),
        directory=directory,
        queues=queues,
        records=RecordStore(database, slots),
        states=DeviceStateStore(database.get_container_client(DEVICES.name), directory, slots),
    )
