"""SIGKILL while a client sends and another receives: what was acknowledged holds."""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusError

ROOT = Path(__file__).parents[2]
SERVE = "tests.emulator_servicebus.serve"
KEY = "cm9vdC1rZXk="
BATCH = 20
ENOUGH = 50
PAUSE = 0.02  # seconds between batches: it bounds what is left to drain


@asynccontextmanager
async def running(state_dir: Path) -> AsyncIterator[tuple[Process, int]]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", SERVE, str(state_dir), "0", KEY, stdout=PIPE, cwd=ROOT
    )
    try:
        assert process.stdout is not None
        yield process, int(await process.stdout.readline())
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def client(port: int) -> ServiceBusClient:
    return ServiceBusClient.from_connection_string(
        f"Endpoint=sb://localhost:{port};SharedAccessKeyName=RootManageSharedAccessKey;"
        f"SharedAccessKey={KEY};UseDevelopmentEmulator=true;",
        retry_total=0,
    )


def batch(start: int) -> list[ServiceBusMessage]:
    numbers = range(start, start + BATCH)
    return [ServiceBusMessage(str(number), message_id=str(number)) for number in numbers]


async def send_until_killed(port: int) -> int:
    """Returns how many messages were acknowledged, 0 to n - 1."""
    sent = 0
    async with client(port) as connected, connected.get_queue_sender("q") as sender:
        while True:
            try:
                await sender.send_messages(batch(sent))
            except ServiceBusError:
                return sent
            sent += BATCH
            await asyncio.sleep(PAUSE)


async def complete_until_killed(port: int, completed: list[int], enough: asyncio.Event) -> None:
    async with client(port) as connected, connected.get_queue_receiver("q") as receiver:
        while True:
            try:
                for message in await receiver.receive_messages(5, 5):
                    await receiver.complete_message(message)
                    completed.append(int(str(message)))
                    if len(completed) >= ENOUGH:
                        enough.set()
            except ServiceBusError:
                return


async def drain(port: int, at_least: int) -> list[int]:
    """All that the queue has: so many, and what else comes within a second."""
    rest: list[int] = []
    async with client(port) as connected, connected.get_queue_receiver("q") as receiver:
        while messages := await receiver.receive_messages(500, 1 if len(rest) >= at_least else 30):
            rest += [int(str(message)) for message in messages]
            await asyncio.gather(*(receiver.complete_message(message) for message in messages))
    return rest


async def test_what_was_acknowledged_survives_a_kill(tmp_path: Path) -> None:
    completed: list[int] = []
    enough = asyncio.Event()
    async with running(tmp_path) as (process, port):
        clients = asyncio.gather(
            asyncio.wait_for(send_until_killed(port), 90),
            asyncio.wait_for(complete_until_killed(port, completed, enough), 90),
        )
        await enough.wait()
        process.kill()
        acknowledged, _ = await clients
    assert acknowledged >= ENOUGH
    async with running(tmp_path) as (process, port):
        async with client(port) as connected, connected.get_queue_sender("q") as sender:
            # What the sender did not know to be there it sends again; duplicates are dropped.
            await sender.send_messages(batch(acknowledged))
        # One completion may have lost its confirmation only.
        rest = await drain(port, acknowledged + BATCH - len(completed) - 1)
    assert rest == sorted(set(rest)), "out of order, or twice"
    assert not set(rest) & set(completed), "what was completed came back"
    missing = set(range(acknowledged + BATCH)) - set(rest) - set(completed)
    assert len(missing) <= 1, "lost"
