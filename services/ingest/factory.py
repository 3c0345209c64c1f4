"""Wires ingest together: what is opened, in which order, and how it is closed again."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from azure.cosmos.aio import DatabaseProxy
from starlette.applications import Starlette

from services.ingest.consumer import Consumer, NotRunning
from services.ingest.device_state import DeviceStateStore
from services.ingest.directory import Directory
from services.ingest.ledger_store import LedgerStore
from services.ingest.pipeline import Pipeline
from services.ingest.queues import AccountQueues
from services.ingest.records import RecordStore
from services.ingest.retry import persistently
from services.ingest.settings import IngestSettings
from shared.clients import open_azure
from shared.database import DEVICES, STREAM
from shared.health import Check, health_routes
from shared.settings import AzureSettings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Resources:
    """What ingest holds open."""

    database: DatabaseProxy
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
        stream = await persistently("open the event stream", azure.event_consumer)
        consumer = Consumer(stream, pipeline, settings)
        try:
            yield Resources(database, directory, pipeline, consumer)
        finally:
            await queues.close()


def create_app() -> Starlette:
    """Health and metrics, from before `app.state.resources` is set."""

    def checks() -> dict[str, Check]:
        resources: Resources | None = app.state.resources
        if resources is None:
            return {"start": _not_yet}
        stream = resources.database.get_container_client(STREAM.name)
        return {"cosmos": stream.read, "consumer": resources.consumer.check}

    app = Starlette(routes=health_routes(checks))
    app.state.resources = None
    return app


async def _not_yet() -> None:
    raise NotRunning("it waits for Azure")


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
