"""The OTA service's edge: ERROR bodies, correlation ids, and what of a request is written down."""

import json

import httpx
import pytest

from stack.local import LocalStack
from tests.ota.artifact_calls import BASE, refused


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/docs", 404),
        ("GET", "/openapi.json", 404),
        ("GET", "/keys/", 404),
        ("POST", "/keys", 405),
        ("GET", "/internal/firmware", 405),
        ("GET", f"/keys?{'x' * 17_000}", 414),
        ("GET", f"/{'x' * 5000}", 414),
    ],
)
async def test_what_is_not_there_says_so(
    gateways: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    reply = await gateways.request(method, path, headers={"X-Correlation-Id": "abc-1"})
    refused(reply, status)
    assert reply.headers["x-correlation-id"] == "abc-1"
    assert reply.headers["cache-control"] == "no-store"
    assert ("allow" in reply.headers) is (status == 405)


async def test_headers_are_bounded_and_correlation_ids_are_checked(
    gateways: httpx.AsyncClient,
) -> None:
    refused(await gateways.get("/keys", headers={"X-Long": "x" * 33_000}), 431)
    for wrong in ("a b", "x" * 65, '"}{"'):
        reply = await gateways.get("/keys", headers={"X-Correlation-Id": wrong})
        assert reply.status_code == 200
        assert len(reply.headers["x-correlation-id"]) == 32


async def test_requests_are_written_down_by_their_route(
    ota_client: httpx.AsyncClient, gateways: httpx.AsyncClient, stack: LocalStack
) -> None:
    secret = "in-a-path-by-mistake"
    correlation = {"X-Correlation-Id": "seen-in-the-log"}
    await ota_client.delete(f"{BASE}/{secret}", headers=correlation)
    await gateways.get(f"/{secret}?key={secret}", headers=correlation)
    metrics = (await gateways.get("/metrics")).text
    assert 'mymote_ota_requests_total{method="DELETE",route="/internal/accounts' in metrics
    assert secret not in metrics
    log = stack.log_file("ota").read_text()
    assert secret not in log
    lines = [json.loads(line) for line in log.splitlines() if "seen-in-the-log" in line]
    seen = [(line["method"], line["route"], line["status"]) for line in lines]
    assert seen == [
        ("DELETE", "/internal/accounts/{user_id}/apps/{app_id}", 404),
        ("GET", "(no route)", 404),
    ]
