"""The whole platform as processes on this machine: what `make run` and the tests start."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import aiohttp

from stack import keys
from stack.environment import (
    Endpoints,
    emulator_environment,
    ota_environment,
    service_environment,
)
from stack.process import Process
from stack.settings import StackSettings
from x400 import control

READY_SECONDS = 60.0
POLL_SECONDS = 0.1
NOTHING: Mapping[str, str] = MappingProxyType({})


class StackError(Exception):
    """The stack cannot start or go on; the message says why and what to do."""


@dataclass
class LocalStack:
    """Processes by name: `azure`, `api`, `ota`, `ingest`, `ingest-2`, and what the caller adds."""

    settings: StackSettings
    endpoints: Endpoints
    processes: dict[str, Process] = field(default_factory=dict)

    @classmethod
    def prepare(cls, settings: StackSettings) -> "LocalStack":
        """Read or make the keys; nothing is started yet."""
        made = keys.load_or_make(settings.state_dir / "keys.json")
        return cls(settings, Endpoints(settings, made))

    @property
    def service_environment(self) -> dict[str, str]:
        return service_environment(self.endpoints)

    def check_ports(self) -> None:
        """Raises StackError where another program has one of the ports."""
        for name, port in self.settings.listening_ports().items():
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((self.settings.bind, port))
                except OSError as error:
                    raise StackError(
                        f"port {port} on {self.settings.bind} cannot be used ({error.strerror}). "
                        f"Stop the program that has it, or choose another port: "
                        f"MYMOTE_STACK_{name.upper()}=… make run"
                    ) from error

    async def start_azure(self, extra: Mapping[str, str] = NOTHING) -> None:
        """Start the local Azure and wait until each of its ports answers.

        `extra`: more of its environment, `MYMOTE_EMULATOR_FAULT_*` for example.
        """
        environment = emulator_environment(self.settings, self.endpoints.keys) | dict(extra)
        await self.start("azure", ("emulator",), environment)
        for port in self.settings.azure_ports().values():
            await self.wait("azure", lambda port=port: self._listens(port))  # type: ignore[misc]

    async def start_service(
        self, name: str, *, port: int | None = None, extra: Mapping[str, str] = NOTHING
    ) -> None:
        """Start `api`, `ingest` or `ota`; `wait_ready` tells when it can be used.

        Further processes of a service have a number in their name (`ingest-2`) and a port of
        their own. `extra`: more of the environment.
        """
        service = _service(name)
        own = ota_environment(self.endpoints) if service == "ota" else {}
        environment = self.service_environment | own | dict(extra)
        if port is not None:
            environment[f"MYMOTE_{service.upper()}_PORT"] = str(port)
        await self.start(name, (f"services.{service}",), environment)

    def url(self, name: str) -> str:
        """Where a service that was started answers."""
        port = self.processes[name].environment[f"MYMOTE_{_service(name).upper()}_PORT"]
        return f"http://{self.settings.hostname}:{port}"

    async def wait_ready(self, name: str) -> None:
        """Wait until the service's /readyz answers 200."""
        base = self.url(name)
        async with aiohttp.ClientSession() as session:

            async def ready() -> bool:
                try:
                    async with session.get(f"{base}/readyz") as response:
                        return response.status == 200
                except aiohttp.ClientError:
                    return False

            await self.wait(name, ready)

    async def wait_connected(self, name: str, user_id: str, api_key: str, device_id: str) -> None:
        """Wait until the device of gateway process `name` is connected, and the api knows."""
        url = f"{self.endpoints.api_url}/api/user/{user_id}/{api_key}/devices/{device_id}/status"
        async with aiohttp.ClientSession() as session:

            async def connected() -> bool:
                # The api alone may still tell what it knew when an earlier stack was killed.
                if not await asyncio.to_thread(_is_green, self.settings.state_dir / name):
                    return False
                try:
                    async with session.get(url) as response:
                        body = await response.json()
                except aiohttp.ClientError:  # the api was killed and has to be started again
                    return False
                return bool(body.get("connectionState") == "Connected")

            await self.wait(name, connected)

    async def start(
        self, name: str, arguments: tuple[str, ...], environment: dict[str, str]
    ) -> None:
        """Start a process under a name, or start it again."""
        process = Process(name, arguments, environment, self.log_file(name))
        self.processes[name] = process
        await process.start()

    async def restart(self, name: str) -> None:
        """Start a process that ended, as it was started before."""
        await self.processes[name].start()

    async def wait(self, name: str, ready: Callable[[], Awaitable[bool]]) -> None:
        """Wait until `ready`. Raises StackError if the process ends or 60 seconds pass."""
        process = self.processes[name]
        deadline = asyncio.get_running_loop().time() + READY_SECONDS
        while not await ready():
            if not process.running:
                raise StackError(f"{name} ended while starting. {self.explain(name)}")
            if asyncio.get_running_loop().time() > deadline:
                raise StackError(f"{name} is not ready after 60 s. {self.explain(name)}")
            await asyncio.sleep(POLL_SECONDS)

    async def stop(self) -> None:
        """Stop everything at once, and then the local Azure, which the others still need."""
        others = [process for name, process in self.processes.items() if name != "azure"]
        await asyncio.gather(*(process.stop() for process in others))
        if "azure" in self.processes:
            await self.processes["azure"].stop()

    def log_file(self, name: str) -> Path:
        return self.settings.state_dir / "logs" / f"{name}.log"

    def explain(self, name: str) -> str:
        """Where the log is, and its end."""
        process = self.processes[name]
        return f"Its log is {process.log_file} and ends:\n{process.last_lines()}"

    async def _listens(self, port: int) -> bool:
        try:
            _, writer = await asyncio.open_connection(self.settings.bind, port)
        except OSError:
            return False
        writer.close()
        return True


def _service(name: str) -> str:
    return name.partition("-")[0]


def _is_green(state: Path) -> bool:
    """Whether the gateway's CLOUD LED says that it is connected."""
    try:
        return bool(control.call(state, "status")["net_status"] == "CLOUD_CONNECTED")
    except control.ControlError:
        return False
