"""A Service Bus in the test's process: its administration over TLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from aiohttp import web

from emulator.servicebus.admin import add_routes
from emulator.servicebus.service import ServiceBus
from emulator.store import Store
from tests.emulator_servicebus.namespace import ROOT_KEY, Namespace


@pytest.fixture
async def namespace(tmp_path: Path) -> AsyncIterator[Namespace]:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)

    store = Store(tmp_path / "azure.db")
    service = ServiceBus(store, ROOT_KEY.encode())
    app = web.Application()
    add_routes(app, service)
    runner = web.AppRunner(app)
    await runner.setup()
    server = await asyncio.get_running_loop().create_server(
        runner.server, "127.0.0.1", 0, ssl=context
    )
    yield Namespace(service, server.sockets[0].getsockname()[1], ca_file)
    server.close()
    await runner.cleanup()
    service.close()
    store.close()
