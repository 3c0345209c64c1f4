"""Run gateways until told to stop: one, or a fleet in one process."""

import asyncio
import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import SecretStr

from x400.control_server import ControlServer
from x400.gateway import Gateway, Sketch
from x400.settings import GatewaySettings

STOP_SECONDS = 8.0  # for all to let go of what is in flight

log = logging.getLogger(__name__)


async def run(
    settings: Sequence[GatewaySettings], sketch: Sketch, ready: Callable[[], None]
) -> None:
    """Start one gateway for each settings, serve the control socket, stop on SIGTERM or ^C.

    Raises ControlError, StoreInUseError, ValueError or OSError where one cannot start.
    """
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    gateways = {}
    for one in settings:
        gateway = Gateway(one, sketch=sketch)
        gateways[gateway.credentials.device_id] = gateway
    control = ControlServer(settings[0].state, gateways)
    await control.start()
    try:
        for gateway in gateways.values():
            await gateway.start()
        ready()
        await stopping.wait()
    finally:
        await control.stop()
        await _stop(list(gateways.values()))


async def _stop(gateways: Sequence[Gateway]) -> None:
    """Stop all at once; what is not done in time is cut, and goes on at the next start."""
    stops = {asyncio.create_task(gateway.stop()) for gateway in gateways}
    _, late = await asyncio.wait(stops, timeout=STOP_SECONDS)
    for stop in late:
        stop.cancel()


def read_fleet(file: Path, shared: GatewaySettings) -> list[GatewaySettings]:
    """One gateway a line: a connection string, then a space or comma and its device key.

    Empty lines and lines that begin with # are skipped. Raises ValueError with the line's number.
    """
    fleet = []
    seen = set()
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) > 2:
            raise ValueError(f"{file}, line {number}: a connection string and a device key only")
        key = words[1] if len(words) == 2 else ""
        one = shared.model_copy(
            update={"connection_string": SecretStr(words[0]), "device_key": SecretStr(key)}
        )
        try:
            device_id = one.credentials().device_id
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: {error}") from None
        if device_id in seen:
            raise ValueError(f"{file}, line {number}: {device_id} is there already")
        seen.add(device_id)
        fleet.append(one)
    if not fleet:
        raise ValueError(f"{file} names no gateway")
    return fleet
