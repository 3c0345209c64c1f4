"""The local Azure: one process, one store, all services, all listeners."""

import asyncio
import base64
import logging
import os
import signal
import ssl
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from functools import partial
from typing import Any

from aiohttp import web

from emulator import iothub
from emulator.amqp.server import AmqpServer
from emulator.blob.azurite import Azurite
from emulator.certificates import server_context
from emulator.cosmos import cosmos_app
from emulator.eventhubs.service import EventHubs
from emulator.iothub import IotHub
from emulator.iothub.faults import FaultRates
from emulator.servicebus import admin as servicebus_admin
from emulator.servicebus.service import ROOT_RULE, ServiceBus
from emulator.settings import EmulatorSettings
from emulator.state_lock import lock_state
from emulator.store import Store

log = logging.getLogger(__name__)

STORE_FILE = "azure.db"
# Seconds that HTTP requests may take to end when the process stops.
HTTP_SHUTDOWN_TIMEOUT = 1.0


async def run(settings: EmulatorSettings, *, on_ready: Callable[[], None] = lambda: None) -> None:
    """Serve until SIGTERM or SIGINT, or until cancelled.

    Raises OSError where a port is taken, StateInUseError and AzuriteMissingError.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        await _start(settings, stack)
        on_ready()
        await stop.wait()
        log.info("stopping")


async def _start(settings: EmulatorSettings, stack: AsyncExitStack) -> None:
    """Build and start everything; `stack` stops it in the opposite order."""
    settings.state_dir.mkdir(parents=True, exist_ok=True)
    lock = await lock_state(settings.state_dir)
    stack.callback(os.close, lock)
    azurite = _azurite(settings, lock)
    stack.push_async_callback(azurite.stop)
    # Node takes longer than all the rest, which opens meanwhile.
    blob_ready = asyncio.create_task(azurite.start())
    stack.callback(blob_ready.cancel)
    names = ("localhost", "127.0.0.1", settings.hostname, settings.bind)
    tls = server_context(settings.state_dir, names)
    store = Store(settings.state_dir / STORE_FILE)
    stack.callback(store.close)

    root_key = settings.servicebus_key.get_secret_value().encode()
    event_hubs = EventHubs(
        store,
        {settings.event_hub: settings.event_hub_partitions},
        {ROOT_RULE: root_key}.get,
        consumer_groups=settings.event_hub_consumer_groups,
        retention=timedelta(hours=settings.event_hub_retention_hours),
    )
    _in_background(stack, event_hubs.keep_retention())
    service_bus = ServiceBus(store, root_key, megabyte=settings.servicebus_megabyte)
    stack.callback(service_bus.close)
    iothub_key = base64.b64decode(settings.iothub_key.get_secret_value(), validate=True)
    append = partial(event_hubs.append, settings.event_hub)
    hub = IotHub(store, settings.hostname, iothub_key, append, faults=_faults(settings))
    stack.push_async_callback(hub.close)

    await _start_amqp(settings, stack, AmqpServer(store, (hub, event_hubs, service_bus)), tls)
    await _start_mqtt(settings, stack, hub, tls)
    management = web.Application()
    iothub.add_routes(management, hub)
    servicebus_admin.add_routes(management, service_bus)
    await _start_http(stack, management, settings.bind, settings.https_port, tls)
    cosmos_key = base64.b64decode(settings.cosmos_key.get_secret_value(), validate=True)
    cosmos = cosmos_app(store, cosmos_key)
    await _start_http(stack, cosmos, settings.bind, settings.cosmos_port, None)
    await blob_ready


def _faults(settings: EmulatorSettings) -> FaultRates:
    rates = FaultRates(
        repeats=settings.fault_repeats,
        repeated_events=settings.fault_repeated_events,
        lost_pubacks=settings.fault_lost_pubacks,
        seed=settings.fault_seed,
    )
    if rates.repeats or rates.lost_pubacks:
        log.warning("IoT Hub makes faults on purpose: %s", rates)
    return rates


def _azurite(settings: EmulatorSettings, lock: int) -> Azurite:
    return Azurite(
        settings.azurite,
        settings.state_dir / "blob",
        host=settings.bind,
        port=settings.blob_port,
        key=settings.blob_key.get_secret_value(),
        lock=lock,
    )


async def _start_amqp(
    settings: EmulatorSettings, stack: AsyncExitStack, server: AmqpServer, tls: ssl.SSLContext
) -> None:
    stack.push_async_callback(server.stop)
    await server.listen(settings.bind, settings.amqp_port)
    await server.listen(settings.bind, settings.amqps_port, tls)


async def _start_mqtt(
    settings: EmulatorSettings, stack: AsyncExitStack, hub: IotHub, tls: ssl.SSLContext
) -> None:
    loop = asyncio.get_running_loop()
    for port, context in ((settings.mqtt_port, None), (settings.mqtts_port, tls)):
        listener = await loop.create_server(
            hub.mqtt_protocol, settings.bind, port, ssl=context, backlog=1024
        )
        stack.callback(listener.close)


async def _start_http(
    stack: AsyncExitStack, app: web.Application, host: str, port: int, tls: ssl.SSLContext | None
) -> None:
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=HTTP_SHUTDOWN_TIMEOUT)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, host, port, ssl_context=tls, backlog=1024).start()


def _in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)
