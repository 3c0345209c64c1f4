"""`python -m services.ingest`: takes the event stream until SIGTERM or Ctrl-C."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from services.ingest.factory import create_app
from services.ingest.resources import Resources, open_resources
from services.ingest.settings import IngestSettings
from shared.logs import configure_logging
from shared.settings import AzureSettings, Misconfigured, ServiceSettings, load_settings

log = logging.getLogger(__name__)

STOP_SECONDS = 9.0


class HealthServer(uvicorn.Server):
    """A web server beside the main work, which leaves the signals to it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> None:
    """Run until SIGTERM or SIGINT; a second one ends the process at once."""
    try:
        azure = load_settings(AzureSettings)
        service = load_settings(ServiceSettings)
        settings = load_settings(IngestSettings)
    except Misconfigured as error:
        sys.exit(str(error))
    configure_logging("ingest", service.log_level)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_run(azure, service, settings))


async def _run(azure: AzureSettings, service: ServiceSettings, settings: IngestSettings) -> None:
    app = create_app()
    server = _health_server(app, service, settings)
    stopping = _stop_on_signals()
    stop = asyncio.create_task(stopping.wait())
    serving = asyncio.create_task(server.serve())
    opening = asyncio.create_task(_ingest(app, azure, settings, stop))
    await asyncio.wait({stop, opening}, return_when=asyncio.FIRST_COMPLETED)
    if app.state.resources is None:
        opening.cancel()  # it still waits for Azure, and holds nothing
    _, late = await asyncio.wait({opening}, timeout=STOP_SECONDS)
    if late:
        log.warning("stopped without closing all links; what was done is committed")
        os._exit(0)
    stop.cancel()
    server.should_exit = True
    await serving
    if not opening.cancelled():
        opening.result()
    log.info("stopped")


async def _ingest(
    app: Starlette, azure: AzureSettings, settings: IngestSettings, stop: asyncio.Task[bool]
) -> None:
    async with open_resources(azure, settings) as resources:
        app.state.resources = resources
        log.info("ready")
        await _work(resources, stop)


async def _work(resources: Resources, stop: asyncio.Task[bool]) -> None:
    """Consume until `stop`, then drain. Raises what ended it otherwise."""
    following = asyncio.create_task(resources.stores.directory.run())
    consuming = asyncio.create_task(resources.consumer.run())
    await asyncio.wait({stop, following, consuming}, return_when=asyncio.FIRST_COMPLETED)
    await resources.consumer.drain()
    following.cancel()
    consuming.cancel()  # the SDK may be in the midst of waiting for Blob Storage
    for outcome in await asyncio.gather(following, consuming, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


def _health_server(
    app: Starlette, service: ServiceSettings, settings: IngestSettings
) -> HealthServer:
    return HealthServer(
        uvicorn.Config(
            app,
            host=service.bind,
            port=settings.port,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


def _stop_on_signals() -> asyncio.Event:
    stopping = asyncio.Event()

    def stop(number: int) -> None:
        if stopping.is_set():
            os._exit(128 + number)
        log.info("stopping: the batches in hand are finished first")
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop, number)
    return stopping


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
