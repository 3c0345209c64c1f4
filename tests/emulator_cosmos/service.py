"""The service on a free port, for tests that start and stop it themselves."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from emulator.cosmos import cosmos_app
from emulator.store import Store

KEY = base64.b64encode(b"cosmos-test-key-cosmos-test-key!").decode()


@asynccontextmanager
async def serve_cosmos(path: Path) -> AsyncIterator[str]:
    """The endpoint of a service whose state is the given file."""
    store = Store(path)
    runner = web.AppRunner(cosmos_app(store, base64.b64decode(KEY)), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
        store.close()
