"""The gateway that the tests are about."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

from x400.gateway import Gateway
from x400.settings import GatewaySettings

DEVICE_KEY = "k" * 64
DEVICE_ID = f"X400_{hashlib.sha1(DEVICE_KEY.encode()).hexdigest()}"

MakeSettings = Callable[..., GatewaySettings]


@asynccontextmanager
async def running(*gateways: Gateway) -> AsyncIterator[Gateway]:
    """Start gateways; kill them at the end, whatever happened."""
    async with AsyncExitStack() as stack:
        for gateway in gateways:
            stack.push_async_callback(gateway.kill)
            await gateway.start()
        yield gateways[0]


async def until(reached: Callable[[], bool], seconds: float = 30) -> None:
    """Look again and again. Raises TimeoutError."""
    async with asyncio.timeout(seconds):
        while not reached():  # noqa: ASYNC110 - what is looked at lives in another process or part
            await asyncio.sleep(0.01)
