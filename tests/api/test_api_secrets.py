"""What the service says of itself: its log, its headers, and never a key."""

import asyncio
import uuid
from typing import Any

import httpx

from services.api.logic.manufacturing import Manufactured
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.api.test_api_refusals import JSON
from tests.log_lines import log_lines


async def line_of(stack: LocalStack, correlation_id: str) -> dict[str, Any]:
    """The one line of a request; it is written after the reply has been sent."""
    async with asyncio.timeout(30):
        while True:
            lines = log_lines(stack.log_file("api"), correlation_id)
            found = [line for line in lines if line["correlation_id"] == correlation_id]
            if found:
                assert len(found) == 1
                return found[0]
            await asyncio.sleep(0.02)


async def test_a_line_for_each_request(
    client: httpx.AsyncClient, stack: LocalStack, alice: Customer, pump: Manufactured
) -> None:
    given = uuid.uuid4().hex
    reply = await client.get(
        f"{alice.base}/devices/{pump.device_id}", headers={"X-Correlation-Id": given}
    )
    assert reply.headers["x-correlation-id"] == given
    line = await line_of(stack, given)
    assert line["route"] == "/api/user/{userid}/[redacted]/devices/{deviceid}"
    assert (line["method"], line["status"]) == ("GET", 200)
    assert (line["user_id"], line["device_id"]) == (alice.user_id, pump.device_id)
    assert 0 < line["milliseconds"] < 10_000


async def test_a_correlation_id_is_made_where_none_fits(client: httpx.AsyncClient) -> None:
    for odd in ({}, {"X-Correlation-Id": "a b"}, {"X-Correlation-Id": "a" * 65}):
        reply = await client.get("/healthz", headers=odd)
        assert len(reply.headers["x-correlation-id"]) == 32


async def test_no_key_is_ever_logged(
    client: httpx.AsyncClient, stack: LocalStack, alice: Customer, bob: Customer, pump: Manufactured
) -> None:
    wrong = uuid.uuid4().hex
    device = f"{alice.base}/devices/{pump.device_id}"
    requests: list[tuple[str, str, dict[str, str]]] = [
        ("GET", device, {}),
        ("POST", f"{device}/sendjson", JSON),
        ("PUT", device, {}),
        ("GET", f"{device}/", {}),
        ("GET", f"{device}/nothing", {}),
        ("GET", f"/api/user/{alice.api_key}/{alice.user_id}/devices", {}),  # swapped
        ("GET", f"/api/user/{alice.user_id}/{wrong}/devices", {}),
        ("GET", f"/API/USER/{alice.user_id}/{alice.api_key}/devices", {}),
        ("GET", f"//api/user/{alice.user_id}/{alice.api_key}/devices", {}),
        ("GET", f"{alice.base}/devices/{alice.api_key}", {}),
        ("GET", f"/?key={alice.api_key}", {}),
        ("GET", f"/api/user/{alice.user_id}/-/devices", {"X-API-Key": alice.api_key}),
        ("GET", f"/{alice.api_key}", {"Referer": f"http://localhost{alice.base}"}),
    ]
    for method, url, headers in requests:
        reply = await client.request(method, url, headers=headers, content="{")
        assert reply.headers["referrer-policy"] == "no-referrer"
    await line_of(stack, reply.headers["x-correlation-id"])
    log = stack.log_file("api").read_text()
    metrics = (await client.get("/metrics")).text
    assert pump.device_id in log
    for secret in (alice.api_key, bob.api_key, wrong, pump.device_key):
        assert secret not in log
        assert secret not in metrics
