"""What ingest opens when it starts and closes when it stops."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from azure.cosmos.aio import DatabaseProxy
from azure.eventhub.aio import EventHubConsumerClient

from services.ingest.consumer import Consumer
from services.ingest.logic.garbage import GarbageWatch
from services.ingest.logic.hand_over import HandOver
from services.ingest.logic.held import HeldAccounts
from services.ingest.logic.leftovers import Leftovers
from services.ingest.logic.orders import Orders
from services.ingest.logic.outlets import Outlets
from services.ingest.logic.pipeline import Pipeline
from services.ingest.logic.tending import Tending
from services.ingest.settings import IngestSettings
from services.ingest.store.checkpoints import PositionCheckpoints
from services.ingest.store.device_state import DeviceStateStore
from services.ingest.store.directory import Directory
from services.ingest.store.ledgers import LedgerStore
from services.ingest.store.parked import ParkedStore
from services.ingest.store.queues import AccountQueues
from services.ingest.store.records import RecordStore
from services.ingest.store.retry import persistently
from shared.clients import open_azure
from shared.database import DEVICES, PARKED, STREAM
from shared.settings import AzureSettings


@dataclass(frozen=True)
class Stores:
    """Where the message path reads and puts things."""

    queues: AccountQueues
    directory: Directory
    ledgers: LedgerStore
    parked: ParkedStore
    records: RecordStore
    states: DeviceStateStore


@dataclass(frozen=True)
class Resources:
    """What ingest holds open."""

    database: DatabaseProxy
    stream: EventHubConsumerClient
    stores: Stores
    pipeline: Pipeline
    tending: Tending
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
        stores = _stores(settings, database, directory, queues)
        pipeline, tending = message_path(settings, stores)
        await persistently("make the checkpoints", azure.make_checkpoints)
        blobs = azure.checkpoint_store()
        positions = database.get_container_client(STREAM.name)
        stream = azure.event_consumer(PositionCheckpoints(blobs, azure.make_checkpoints, positions))
        consumer = Consumer(stream, pipeline, tending, settings)
        try:
            yield Resources(database, stream, stores, pipeline, tending, consumer)
        finally:
            await queues.close()


def message_path(settings: IngestSettings, stores: Stores) -> tuple[Pipeline, Tending]:
    """What takes events to their effects, and what is done besides events."""
    directory, parked = stores.directory, stores.parked
    held = HeldAccounts(
        stores.queues, parked, directory, concurrent_drains=settings.concurrent_drains
    )
    outlets = Outlets(held, stores.records, stores.states)
    hand_over = HandOver(outlets, parked, directory)
    pipeline = Pipeline(
        settings=settings,
        ledgers=stores.ledgers,
        directory=directory,
        outlets=outlets,
        hand_over=hand_over,
        watch=GarbageWatch(settings.garbage_accounts, settings.unannotated_events),
    )
    tending = Tending(
        held=held,
        hand_over=hand_over,
        orders=Orders(outlets, parked, stores.ledgers, directory),
        leftovers=Leftovers(parked),
        directory=directory,
        order_seconds=settings.order_seconds,
    )
    return pipeline, tending


def _stores(
    settings: IngestSettings, database: DatabaseProxy, directory: Directory, queues: AccountQueues
) -> Stores:
    slots = asyncio.Semaphore(settings.concurrent_writes)
    return Stores(
        queues=queues,
        directory=directory,
        ledgers=LedgerStore(database.get_container_client(STREAM.name)),
        parked=ParkedStore(database.get_container_client(PARKED.name), slots),
        records=RecordStore(database, slots),
        states=DeviceStateStore(database.get_container_client(DEVICES.name), directory, slots),
    )
