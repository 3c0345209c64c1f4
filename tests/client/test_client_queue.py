"""`mymote tail`: a message leaves the queue once it is shown, and not before."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient

from services.api.resources import Resources
from stack.local import LocalStack
from tests.api.customers import Customer, new_customer
from tests.client.command_line import CommandLine, of

DEVICE = f"X400_{'a' * 40}"


@pytest.fixture
async def customer(resources: Resources) -> Customer:
    """An account of this test alone."""
    return await new_customer(resources)


@pytest.fixture
def mymote(stack: LocalStack, customer: Customer, tmp_path: Path) -> CommandLine:
    return of(stack, customer, tmp_path)


async def send(stack: LocalStack, customer: Customer, *bodies: bytes) -> None:
    properties: dict[str | bytes, str] = {
        "iothub-connection-device-id": DEVICE,
        "device_name": "Pump",
        "iothub-creation-time-utc": "2026-03-14T12:00:00Z",
    }
    async with (
        ServiceBusClient.from_connection_string(stack.endpoints.servicebus) as client,
        client.get_queue_sender(f"user-{customer.user_id}") as sender,
    ):
        await sender.send_messages(
            [ServiceBusMessage(body, application_properties=properties) for body in bodies]  # type: ignore[arg-type]  # the SDK takes them
        )


async def waiting(mymote: CommandLine) -> int:
    count: int = (await mymote.well("queue", "show"))["active_messages"]
    return count


async def test_peeking_leaves_what_is_shown_and_reading_takes_it(
    mymote: CommandLine, stack: LocalStack, customer: Customer
) -> None:
    bodies = (b'{"temperature": 21.5}', b"\xff\x00", "caffè \x1b[2J".encode())
    await send(stack, customer, *bodies)
    peeked = await mymote("tail", "--peek", "--limit", "3", "--json")
    shown = [json.loads(line) for line in peeked.output.splitlines()]
    assert [each["body"] for each in shown] == ['{"temperature": 21.5}', "ff00", "caffè \x1b[2J"]
    assert shown[1]["body_encoding"] == "hex"
    assert shown[0]["properties"]["iothub-connection-device-id"] == DEVICE
    assert await waiting(mymote) == 3
    read = await mymote("tail", "--limit", "3")
    assert read.status == 0, read
    assert "Pump  caffè \\x1b[2J" in read.output
    assert "\x1b[2J" not in read.output
    assert await waiting(mymote) == 0


async def test_who_cannot_print_takes_nothing(
    mymote: CommandLine, stack: LocalStack, customer: Customer
) -> None:
    await send(stack, customer, b"one", b"two", b"three")
    read, write = os.pipe()
    os.close(read)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mymote", "tail"),
        env={**os.environ, **mymote.environment},
        stdout=write,
        stderr=subprocess.PIPE,
    )
    os.close(write)
    _, errors = await child.communicate()
    assert child.returncode == 1
    assert b"Traceback" not in errors
    again = await mymote("tail", "--limit", "3", "--json")
    assert len(again.output.splitlines()) == 3


async def test_a_connection_string_that_was_renewed_is_refused_plainly(
    mymote: CommandLine, customer: Customer
) -> None:
    await mymote.well("queue", "renew", "--end-previous", "--yes")
    variable = {"MYMOTE_QUEUE_CONNECTION_STRING": customer.queue_connection_string}
    old = CommandLine(mymote.folder, variable)
    ended = await old("tail", "--once")
    assert ended.status == 3
    assert "renewed" in ended.errors
    wrong = CommandLine(mymote.folder, {"MYMOTE_QUEUE_CONNECTION_STRING": "Endpoint=sb://x"})
    assert (await wrong("tail")).status == 2


async def test_the_queue_needs_full_scope(mymote: CommandLine) -> None:
    key = (await mymote.well("key", "create", "reader"))["api_key"]
    reader = CommandLine(mymote.folder, {**mymote.environment, "MYMOTE_API_KEY": key})
    refused = await reader("tail", "--once")
    assert refused.status == 3
    assert "'admin'" in refused.errors
