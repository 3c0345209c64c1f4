"""What no HTTP client sends: requests that cannot be parsed, bodies that never come."""

import asyncio

import httpx
import pytest

from services.api.logic.manufacturing import Manufactured
from services.api.routes.body import BODY_SECONDS
from shared.schemas.contract import Error
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.api.test_api_secrets import line_of

NO_HTTP = [
    b"\x16\x03\x01\x00" + b"a" * 100,  # TLS
    b"NONSENSE / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost x\r\n\r\n",
    b"GET /" + b"a" * 300_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n1",
]


async def exchange(stack: LocalStack, request: bytes, *, leave: bool = False) -> bytes:
    """All that the api answers; nothing where the client leaves first."""
    settings = stack.settings
    reader, writer = await asyncio.open_connection(settings.bind, settings.api_port)
    try:
        writer.write(request)
        if leave:
            await writer.drain()
            return b""
        return await reader.read()
    finally:
        writer.close()


def send_json(customer: Customer, device_id: str, correlation: str) -> bytes:
    """The head of a request and a first byte of the ten that it promises."""
    return (
        f"POST {customer.base}/devices/{device_id}/sendjson HTTP/1.1\r\nHost: x\r\n"
        f"X-Correlation-Id: {correlation}\r\nContent-Type: application/json\r\n"
        "Connection: close\r\nContent-Length: 10\r\n\r\n1"
    ).encode()


@pytest.mark.parametrize("request_", NO_HTTP, ids=range(len(NO_HTTP)))
async def test_what_is_no_http_has_the_error_body(stack: LocalStack, request_: bytes) -> None:
    head, _, body = (await exchange(stack, request_)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    assert b"content-type: application/json" in head
    assert Error.model_validate_json(body).error


async def test_a_body_that_never_comes_and_a_connection_that_is_used_again(
    stack: LocalStack, alice: Customer, pump: Manufactured
) -> None:
    """Which clients do after as long; where the api ended it then, their call would be lost."""
    settings = stack.settings
    reader, writer = await asyncio.open_connection(settings.bind, settings.api_port)
    ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    writer.write(ask)
    before = await reader.readuntil(b"}")
    async with asyncio.timeout(BODY_SECONDS + 20):
        reply = await exchange(stack, send_json(alice, pump.device_id, "slow"))
        writer.write(ask)
        assert (await reader.readuntil(b"}"))[:15] == before[:15] == b"HTTP/1.1 200 OK"
    writer.close()
    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert "Content-Length" in Error.model_validate_json(body).error


async def test_a_client_that_leaves_is_no_failure_of_ours(
    stack: LocalStack, client: httpx.AsyncClient, alice: Customer, pump: Manufactured
) -> None:
    await exchange(stack, send_json(alice, pump.device_id, "i-left"), leave=True)
    assert (await line_of(stack, "i-left"))["status"] == 499
    assert 'status="499"' in (await client.get("/metrics")).text
