"""`python -m emulator` as a process: ready, killed, restarted, stopped; blobs from Azurite."""

import asyncio
import base64
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from azure.eventhub import EventData
from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
from azure.eventhub.extensions.checkpointstoreblobaio import BlobCheckpointStore
from azure.storage.blob.aio import ContainerClient

from emulator import state_lock
from tests.free_ports import free_ports

KEY = base64.b64encode(b"k" * 32).decode()
PORTS = ("mqtt", "mqtts", "amqp", "amqps", "https", "cosmos", "blob")


class Emulator:
    """Settings and state that outlive the process."""

    def __init__(self, state_dir: Path) -> None:
        self.start_seconds = 0.0
        self.ports = dict(zip(PORTS, free_ports(len(PORTS)), strict=True))
        self.state_dir = state_dir
        settings = {f"{name}_port": str(port) for name, port in self.ports.items()}
        settings |= {f"{name}_key": KEY for name in ("servicebus", "iothub", "cosmos", "blob")}
        settings["state_dir"] = str(state_dir)
        self.environment = os.environ | {
            f"MYMOTE_EMULATOR_{name.upper()}": value for name, value in settings.items()
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        began = time.monotonic()
        process = await self.start()
        try:
            assert process.stdout is not None
            assert await asyncio.wait_for(process.stdout.readline(), 60) == b"ready\n"
            self.start_seconds = time.monotonic() - began
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def start(self, **environment: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "emulator"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.environment | environment,
        )

    def authority(self) -> str:
        return (self.state_dir / "ca.pem").read_text()

    @property
    def namespace(self) -> str:
        return (
            f"Endpoint=sb://localhost:{self.ports['amqp']};SharedAccessKey={KEY};"
            "SharedAccessKeyName=RootManageSharedAccessKey;UseDevelopmentEmulator=true"
        )

    @property
    def blobs(self) -> str:
        return (
            f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};"
            f"BlobEndpoint=http://localhost:{self.ports['blob']}/devstoreaccount1;"
        )

    async def send(self, *bodies: str) -> None:
        client = EventHubProducerClient.from_connection_string(
            self.namespace, eventhub_name="mymote"
        )
        async with client:
            await client.send_batch([EventData(body) for body in bodies], partition_key="d")

    async def receive(self, count: int) -> list[str]:
        """With an event processor whose checkpoints are blobs."""
        store = BlobCheckpointStore.from_connection_string(self.blobs, "checkpoints")
        client = EventHubConsumerClient.from_connection_string(
            self.namespace,
            consumer_group="$Default",
            eventhub_name="mymote",
            checkpoint_store=store,
            load_balancing_interval=0.5,
            partition_ownership_expiration_interval=2,
        )
        got: list[str] = []
        enough = asyncio.Event()

        async def take(context: Any, event: Any) -> None:
            got.append(event.body_as_str())
            await context.update_checkpoint(event)
            if len(got) >= count:
                enough.set()

        async with store, client:
            task = asyncio.create_task(client.receive(take, starting_position="-1"))
            await asyncio.wait_for(enough.wait(), 60)
            await client.close()
            await asyncio.wait_for(task, 60)
        return got


async def trusts(emulator: Emulator, authority: str) -> None:
    """Whoever trusts the authority trusts the TLS listeners, by name and by address."""
    context = ssl.create_default_context(cadata=authority)
    for port in ("amqps", "mqtts", "https"):
        for host in ("localhost", "127.0.0.1"):
            _, writer = await asyncio.open_connection(host, emulator.ports[port], ssl=context)
            writer.close()


@pytest.fixture
def emulator(tmp_path: Path) -> Emulator:
    return Emulator(tmp_path / "azure")


async def test_sigkill_loses_nothing_and_sigterm_stops_within_three_seconds(
    emulator: Emulator,
) -> None:
    async with emulator.running() as process:
        authority = emulator.authority()
        await trusts(emulator, authority)
        container = ContainerClient.from_connection_string(emulator.blobs, "checkpoints")
        async with container:
            await container.create_container()
        await emulator.send("one", "two")
        assert await emulator.receive(2) == ["one", "two"]
        await emulator.send("three")
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with emulator.running() as process:  # its Azurite saved, and left the port
        assert emulator.authority() == authority
        assert await emulator.receive(1) == ["three"]
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        # A machine that has much else to do took long to start it, too.
        assert time.monotonic() - began < max(3.0, emulator.start_seconds)
        assert process.stderr is not None
        assert b"Traceback" not in await process.stderr.read()


def child_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="finding a child process needs /proc")
async def test_azurite_that_ends_is_started_again(emulator: Emulator) -> None:
    async with emulator.running() as process:
        before = child_of(process.pid)
        os.kill(before, signal.SIGKILL)
        await emulator.send("the rest goes on")
        deadline = time.monotonic() + 60
        while True:
            assert time.monotonic() < deadline
            with suppress(OSError):
                _, writer = await asyncio.open_connection("localhost", emulator.ports["blob"])
                writer.close()
                break
            await asyncio.sleep(0.05)
        assert child_of(process.pid) != before


async def test_what_is_missing_is_explained(emulator: Emulator) -> None:
    async def explains(setting: str, value: str) -> None:
        process = await emulator.start(**{setting: value})
        _, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode in (1, 2)
        assert setting in errors.decode()
        assert b"Traceback" not in errors

    await explains("MYMOTE_EMULATOR_AZURITE", "/nowhere")
    await explains("MYMOTE_EMULATOR_IOTHUB_KEY", "not base64!")


async def test_a_state_directory_serves_one_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_lock, "WAIT", 0.2)
    first = await state_lock.lock_state(tmp_path)
    inherited = os.dup(first)  # as Azurite's
    os.close(first)
    with pytest.raises(state_lock.StateInUseError, match="stop it first"):
        await state_lock.lock_state(tmp_path)
    os.close(inherited)
    os.close(await state_lock.lock_state(tmp_path))


async def test_a_port_in_use_is_explained(emulator: Emulator) -> None:
    with socket.create_server(("127.0.0.1", emulator.ports["amqp"])):
        process = await emulator.start()
        _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 1
    assert str(emulator.ports["amqp"]) in errors.decode()
    assert b"Traceback" not in errors
