"""Who did what, when, from where."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi.routing import APIRoute

from services.api.factory import create_app
from services.api.logic.access import NEEDED
from services.api.logic.audit import EVENTS, Act, Actor, record
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources
from services.api.settings import ApiSettings
from services.api.store.audit import Audit
from tests.access.persons import Persona, accept, invite, join, login
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error


@pytest.fixture(scope="module")
async def operator(client: httpx.AsyncClient, alice: Customer) -> Persona:
    return await join(client, alice, "operator")


async def audit(client: httpx.AsyncClient, customer: Customer, query: str = "") -> Any:
    reply = await client.get(f"{customer.base}/audit?{query}")
    assert reply.status_code == 200, reply.text
    return reply.json()["items"]


async def test_what_people_do_with_a_device_is_kept_and_in_its_timeline(
    client: httpx.AsyncClient,
    alice: Customer,
    pump: Manufactured,
    operator: Persona,
    resources: Resources,
) -> None:
    url = f"{operator.base}/devices/{pump.device_id}/sendjson"
    sent = await client.post(
        url, json={"valve": "open"}, headers={**operator.headers, "X-Correlation-Id": "abc"}
    )
    assert sent.status_code == 200, sent.text
    found = (await audit(client, alice, f"device_id={pump.device_id}"))[0]
    assert found["targets"].pop("made")
    assert datetime.fromisoformat(found.pop("at")) <= datetime.now(UTC)
    record_id = found.pop("id")
    assert found == {
        "actor_kind": "person",
        "actor_id": operator.person_id,
        "actor_name": operator.username,
        "operation": "sendUserMessage",
        "targets": {"deviceid": pump.device_id},
        "device_ids": [pump.device_id],
        "status": 200,
        "reason": "",
        "address": "127.0.0.1",
        "correlation_id": "abc",
    }
    entry = await resources.timeline.container.read_item(
        f"audit-{record_id}", partition_key=pump.device_id
    )
    assert (entry["event"], entry["detail"]) == ("message_sent", f"by {operator.username}")
    assert entry["user_id"] == alice.user_id


async def test_a_replayed_answer_is_no_second_entry_of_the_timeline(
    client: httpx.AsyncClient, alice: Customer, pump: Manufactured, resources: Resources
) -> None:
    url, query = f"{alice.base}/devices/{pump.device_id}/sendjson", f"device_id={pump.device_id}"
    for _ in range(2):
        reply = await client.post(url, json=1, headers={"Idempotency-Key": "once"})
        assert reply.status_code == 200
    assert reply.headers["idempotency-replayed"] == "true"
    second, first = (await audit(client, alice, query))[:2]
    container = resources.timeline.container
    await container.read_item(f"audit-{first['id']}", partition_key=pump.device_id)
    listed = container.query_items("SELECT c.id FROM c", partition_key=pump.device_id)
    assert f"audit-{second['id']}" not in [item["id"] async for item in listed]


async def test_what_is_refused_is_kept_too(
    client: httpx.AsyncClient, alice: Customer, operator: Persona, pump: Manufactured
) -> None:
    refused = await client.delete(f"{operator.base}/account/keys/k1", headers=operator.headers)
    assert_error(refused, 403)
    url = f"{alice.base}/devices/{pump.device_id}/sendjson"
    assert_error(await client.post(url, content="{", headers={"Content-Type": "text/x"}), 415)
    unknown = f"{alice.base}/people/{alice.api_key[:60]}"
    assert_error(await client.delete(unknown), 404)
    # A key where its id belongs: whoever may not revoke is not told that it is none.
    mistaken = f"{operator.base}/account/keys/{alice.api_key}"
    assert_error(await client.delete(mistaken, headers=operator.headers), 403)
    key, removed, sent, revoked = (await audit(client, alice))[:4]
    assert (revoked["operation"], revoked["status"]) == ("revokeKey", 403)
    assert revoked["targets"] == {"keyid": "k1"}
    assert (sent["actor_kind"], sent["actor_name"], sent["status"]) == ("key", "first", 415)
    assert sent["device_ids"] == [pump.device_id]
    assert (key["status"], key["targets"]) == (403, {})
    # Whatever stood there was nothing of the account: it may have been a secret.
    assert (removed["status"], removed["targets"]) == (404, {})


async def test_reads_and_strangers_leave_nothing(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    customer = await new_customer(resources)
    assert (await client.get(f"{customer.base}/devices")).status_code == 200
    stranger = f"/api/user/{customer.user_id}/{'0' * 64}/invitations"
    assert_error(await client.post(stranger, json={"role": "owner"}), 401)
    assert await audit(client, customer) == []


async def test_signing_in_and_failing_to(client: httpx.AsyncClient, alice: Customer) -> None:
    invitation = await invite(client, alice, "viewer")
    username, password = "audited@example.com", "a long password"
    await accept(client, invitation["token"], username, password)
    await login(client, username, "wrong")
    person = (await login(client, username, password)).json()
    headers = {"Authorization": f"Bearer {person['token']}"}
    await client.post(f"/api/user/{alice.user_id}/-/me/logout", headers=headers)
    wanted = [("acceptInvitation", 201), ("login", 200), ("login", 401), ("logout", 200)]
    async with asyncio.timeout(30):  # a failure is written down after its reply
        while True:
            items = await audit(client, alice, f"actor={quote(username)}")
            if sorted((each["operation"], each["status"]) for each in items) == wanted:
                break
            await asyncio.sleep(0.02)
    assert {each["address"] for each in items} == {"127.0.0.1"}
    text = (await client.get(f"{alice.base}/audit?limit=200")).text
    for secret in (password, person["token"], invitation["token"], alice.api_key):
        assert secret.rpartition(".")[2] not in text


async def test_filters_and_pages(client: httpx.AsyncClient, resources: Resources) -> None:
    customer = await new_customer(resources)
    for _ in range(3):
        await invite(client, customer, "viewer")
    await client.delete(f"{customer.base}/people/none")
    everything = await audit(client, customer)
    operations = [each["operation"] for each in everything]
    assert operations == ["removePerson", *["createInvitation"] * 3]
    second = everything[2]
    assert await audit(client, customer, f"until={quote(second['at'])}") == everything[3:]
    assert await audit(client, customer, f"since={quote(second['at'])}") == everything[:3]
    assert await audit(client, customer, "operation=removePerson") == everything[:1]
    assert await audit(client, customer, f"actor={everything[0]['actor_id']}") == everything
    assert await audit(client, customer, "actor=nobody") == []
    assert await audit(client, customer, f"device_id=X400_{'0' * 40}") == []
    paged, cursor = [], ""
    while True:
        reply = await client.get(f"{customer.base}/audit?limit=2&cursor={cursor}")
        paged += reply.json()["items"]
        cursor = reply.json()["next"]
        if not cursor:
            break
        other = await client.get(f"{customer.base}/audit?operation=login&cursor={cursor}")
        assert_error(other, 400)
    assert paged == everything


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "until=2026-01-01T00:00:00",
        "device_id=1",
        "limit=0",
        "limit=201",
        "cursor=x",
        f"actor={'a' * 101}",
        "who=me",
    ],
)
async def test_odd_questions(client: httpx.AsyncClient, alice: Customer, query: str) -> None:
    assert_error(await client.get(f"{alice.base}/audit?{query}"), 400)


async def test_the_log_is_an_owners(
    client: httpx.AsyncClient, operator: Persona, alice: Customer, bob: Customer
) -> None:
    assert_error(await client.get(f"{operator.base}/audit", headers=operator.headers), 403)
    mine = {each["id"] for each in await audit(client, alice, "limit=200")}
    assert mine
    assert not mine & {each["id"] for each in await audit(client, bob, "limit=200")}


async def test_bulk_orders_are_in_each_devices_timeline(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    customer = await new_customer(resources)
    devices = tuple(f"X400_{number:040x}" for number in range(30))
    actor = Actor("key", "k", "bulk")
    act = Act(customer.user_id, actor, "pairDevices", 200, device_ids=devices)
    await record(resources.audit, resources.timeline, act)
    (found,) = await audit(client, customer, f"device_id={devices[17]}")
    assert found["device_ids"] == list(devices)
    for device_id in devices:
        entry = await resources.timeline.container.read_item(
            f"audit-{found['id']}", partition_key=device_id
        )
        assert (entry["event"], entry["detail"]) == ("paired", "by API key 'bulk'")


async def test_a_call_does_not_fail_where_the_log_does(
    resources: Resources, caplog: pytest.LogCaptureFixture
) -> None:
    nowhere = Audit(resources.azure.database.get_container_client("nowhere"))
    act = Act("u1", Actor("operator", "", "operator"), "resetPassword", 200)
    with caplog.at_level(logging.ERROR):
        await record(nowhere, resources.timeline, act)
    assert "not in the audit log" in caplog.text


def test_operations_on_a_device_have_an_event() -> None:
    assert set(EVENTS) <= set(NEEDED)
    app = create_app(ApiSettings.model_construct())
    orders = {
        route.operation_id
        for route in app.routes
        if isinstance(route, APIRoute) and "{deviceid}" in route.path and route.methods != {"GET"}
    }
    assert orders <= set(EVENTS)
