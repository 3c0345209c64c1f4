"""A Service Bus in the test's process: AMQP, and its administration over TLS.

Opening and closing a link takes the client half a second each (it sleeps between its frames),
so most tests share a sender, a receiver and a receiver of dead letters.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trustme
from aiohttp import web
from azure.servicebus import ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender

from emulator.amqp.server import AmqpServer
from emulator.servicebus.admin import add_routes
from emulator.servicebus.queue import Queue
from emulator.servicebus.service import ServiceBus
from emulator.store import Store
from tests.emulator_servicebus.namespace import ROOT_KEY, Namespace, create


@asynccontextmanager
async def running_namespace(state_dir: Path, authority: trustme.CA) -> AsyncIterator[Namespace]:
    ca_file = state_dir / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)

    store = Store(state_dir / "azure.db")
    service = ServiceBus(store, ROOT_KEY.encode())
    app = web.Application()
    add_routes(app, service)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    server = await asyncio.get_running_loop().create_server(
        runner.server, "127.0.0.1", 0, ssl=context
    )
    amqp = AmqpServer(store, [service])
    amqp_port = await amqp.listen("127.0.0.1", 0)
    yield Namespace(service, server.sockets[0].getsockname()[1], amqp_port, ca_file)
    await amqp.stop()
    server.close()
    await runner.cleanup()
    service.close()
    store.close()


@pytest.fixture(scope="package")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
async def namespace(tmp_path: Path, authority: trustme.CA) -> AsyncIterator[Namespace]:
    """A namespace of the test's own."""
    async with running_namespace(tmp_path, authority) as namespace:
        yield namespace


@pytest.fixture(scope="package")
async def shared_namespace(
    tmp_path_factory: pytest.TempPathFactory, authority: trustme.CA
) -> AsyncIterator[Namespace]:
    """One namespace for all tests that leave nothing behind."""
    async with running_namespace(tmp_path_factory.mktemp("servicebus"), authority) as namespace:
        yield namespace


@pytest.fixture(scope="package")
async def shared_queue(shared_namespace: Namespace) -> Queue:
    return create(shared_namespace, "q", max_delivery_count=3)


@pytest.fixture
async def queue(shared_queue: Queue) -> Queue:
    """The shared queue, empty."""
    for entity in (shared_queue.active, shared_queue.dead_letter):
        entity.take(1000)
        assert entity.log.totals == (0, 0, 0, 0), "a test left messages behind"
    return shared_queue


@pytest.fixture(scope="package")
async def sender(
    shared_namespace: Namespace, shared_queue: Queue
) -> AsyncIterator[ServiceBusSender]:
    async with shared_namespace.client() as client, client.get_queue_sender("q") as sender:
        yield sender


@pytest.fixture(scope="package")
async def receiver(
    shared_namespace: Namespace, shared_queue: Queue
) -> AsyncIterator[ServiceBusReceiver]:
    async with shared_namespace.client() as client, client.get_queue_receiver("q") as receiver:
        yield receiver


@pytest.fixture(scope="package")
async def dead_letters(
    shared_namespace: Namespace, shared_queue: Queue
) -> AsyncIterator[ServiceBusReceiver]:
    async with shared_namespace.client() as client:
        async with client.get_queue_receiver(
            "q", sub_queue=ServiceBusSubQueue.DEAD_LETTER
        ) as receiver:
            yield receiver
