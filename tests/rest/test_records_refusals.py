"""Who may not: calls about notifications, parked messages, apps and firmware."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from services.api.logic.keys import make_key
from services.api.resources import Resources
from shared.schemas.accounts import Scope
from tests.api.customers import Customer
from tests.api.test_api_refusals import JSON, UNKNOWN, assert_error

READS = [
    "/notifications",
    "/notifications/count",
    "/notifications/none",
    "/parked",
    "/parked/none",
    "/apps",
    "/apps/none",
    "/apps/none/versions",
    "/apps/none/versions/none",
    "/firmware",
    "/firmware/none",
]
WRITES: list[tuple[str, str, object]] = [
    ("POST", "/notifications/acknowledge", {"filter": {}}),
    ("POST", "/notifications/clear", {"filter": {}}),
    ("POST", "/notifications/none/acknowledge", None),
    ("POST", "/notifications/none/clear", None),
    ("POST", "/parked/redeliver", {}),
    ("POST", "/parked/discard", {}),
    ("POST", "/parked/none/redeliver", None),
    ("DELETE", "/parked/none", None),
]
OTA: list[tuple[str, str, object]] = [
    ("POST", "/apps", {"name": "x"}),
    ("PATCH", "/apps/none", {"name": "x"}),
    ("DELETE", "/apps/none", None),
    ("POST", "/apps/none/versions?version=1.0.0", None),
    ("DELETE", "/apps/none/versions/none", None),
    ("POST", f"/devices/{UNKNOWN}/newapp/none/none", None),
    ("POST", f"/devices/{UNKNOWN}/newfirmware/none/NOW", None),
]
CALLS = [*(("GET", call, None) for call in READS), *WRITES, *OTA]


async def limited_to(resources: Resources, customer: Customer, scope: Scope) -> Customer:
    made = await make_key(
        resources.accounts,
        customer.user_id,
        name=scope,
        scopes=[scope],
        expires_at=None,
        by=None,
        now=datetime.now(UTC),
    )
    return replace(customer, api_key=made.secret)


@pytest.fixture(scope="module")
async def keys(resources: Resources, alice: Customer) -> dict[Scope, Customer]:
    """Alice, by a key of one scope each."""
    scopes = (Scope.READ, Scope.WRITE, Scope.OTA)
    return {scope: await limited_to(resources, alice, scope) for scope in scopes}


async def send(
    client: httpx.AsyncClient, base: str, call: tuple[str, str, object]
) -> httpx.Response:
    method, path, body = call
    content = json.dumps(body) if body is not None else None
    return await client.request(method, f"{base}{path}", content=content, headers=JSON)


@pytest.mark.parametrize("call", CALLS, ids=[f"{method} {path}" for method, path, _ in CALLS])
async def test_unknown_account_and_wrong_key_answer_the_same(
    client: httpx.AsyncClient, alice: Customer, bob: Customer, call: tuple[str, str, object]
) -> None:
    wrong = await send(client, f"/api/user/{alice.user_id}/{bob.api_key}", call)
    unknown = await send(client, f"/api/user/nobody/{bob.api_key}", call)
    assert_error(wrong, 401)
    assert wrong.content == unknown.content


async def test_each_call_needs_its_scope(
    client: httpx.AsyncClient, keys: dict[Scope, Customer]
) -> None:
    for calls, needed in ((WRITES, Scope.WRITE), (OTA, Scope.OTA)):
        for call in calls:
            for scope, customer in keys.items():
                reply = await send(client, customer.base, call)
                if scope is needed:
                    assert reply.status_code not in (401, 403), call
                else:
                    assert f"'{needed}'" in assert_error(reply, 403)
    for path in READS:
        for customer in keys.values():
            reply = await send(client, customer.base, ("GET", path, None))
            assert reply.status_code in (200, 404)
