"""Parked messages over the REST API. Ingest does not run here."""

import asyncio
from typing import Any

import httpx
import pytest

from services.api.logic import parked
from services.api.resources import Resources
from services.api.store.parked import Filter
from tests.api.customers import Customer, new_customer
from tests.api.parking import Parking
from tests.api.test_api_refusals import assert_error
from tests.rest.records import DEVICE_B

FIELDS = [
    "id",
    "device_id",
    "reason",
    "detail",
    "mid",
    "size",
    "created_at",
    "enqueued_at",
    "ordered_at",
]
WHOLE = [*FIELDS, "content_type", "properties", "body", "body_encoding"]


@pytest.fixture
def parking(resources: Resources) -> Parking:
    return Parking(resources)


@pytest.fixture
async def dave(resources: Resources) -> Customer:
    """An account of this test alone."""
    return await new_customer(resources)


async def test_pages_and_filters(
    client: httpx.AsyncClient, parking: Parking, dave: Customer
) -> None:
    made = await asyncio.gather(*(parking.put(dave.user_id, n) for n in range(7)))
    other = await parking.put(dave.user_id, 7, "malformed", device_id=DEVICE_B)
    seen: list[str] = []
    query: dict[str, Any] = {"limit": 3, "cursor": ""}
    while True:
        page = (await client.get(f"{dave.base}/parked", params=query)).json()
        assert all(list(each) == FIELDS for each in page["items"])
        seen += [each["id"] for each in page["items"]]
        query["cursor"] = page["next"]
        if not page["next"]:
            break
    assert seen == [each.id for each in [*made, other]]
    for wanted in ({"reason": "malformed"}, {"device_id": DEVICE_B}):
        page = (await client.get(f"{dave.base}/parked", params=wanted)).json()
        assert [each["id"] for each in page["items"]] == [other.id]
    for wrong in ("reason=none", "device_id=pump", "limit=0", "cursor=x", "colour=red"):
        assert_error(await client.get(f"{dave.base}/parked?{wrong}"), 400)


async def test_one_is_shown_whole_as_text_or_hex(
    client: httpx.AsyncClient, parking: Parking, dave: Customer
) -> None:
    for body, shown in (
        (b'{"level": 6}', ('{"level": 6}', "text")),
        (b"\x00\xff", ("00ff", "hex")),
    ):
        message = await parking.put(dave.user_id, body=body, content_type=None)
        reply = await client.get(f"{dave.base}/parked/{message.id}")
        whole = reply.json()
        assert list(whole) == WHOLE
        assert (whole["body"], whole["body_encoding"]) == shown
        assert whole["size"] == len(body)
        assert whole["properties"] == {"type": "data"}


async def test_redelivered_once_and_discarded(
    client: httpx.AsyncClient, parking: Parking, dave: Customer
) -> None:
    message = await parking.put(dave.user_id)
    url = f"{dave.base}/parked/{message.id}"
    key = {"Idempotency-Key": "once"}
    first = await client.post(f"{url}/redeliver", headers=key)
    assert (first.status_code, first.json()) == (200, {"result": "ordered"})
    assert (await client.post(f"{url}/redeliver", headers=key)).json() == first.json()
    assert "ordered" in assert_error(await client.post(f"{url}/redeliver"), 409)
    assert_error(await client.delete(url), 409)
    assert await parking.order(message) is not None
    refused = await parking.put(dave.user_id, reason="refused")
    url = f"{dave.base}/parked/{refused.id}"
    assert "queue" in assert_error(await client.post(f"{url}/redeliver"), 409)
    assert (await client.delete(url)).json() == {"result": "discarded"}
    assert_error(await client.get(url), 404)


async def test_many(
    client: httpx.AsyncClient,
    parking: Parking,
    dave: Customer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for number in range(5):
        await parking.put(dave.user_id, number)
    refused = await parking.put(dave.user_id, reason="refused", device_id=DEVICE_B)
    base = f"{dave.base}/parked"
    nothing = {"done": 0, "left": 0, "why": "", "more": False}
    reply = await client.post(f"{base}/discard", json={"reasons": ["malformed"]})
    assert reply.json() == nothing
    monkeypatch.setattr(parked, "MAX_CHANGED", 3)
    for done, more in ((3, True), (2, False)):
        wanted = Filter(dave.user_id)
        progress, rest = await parked.change_some(parking.stores, wanted, "redeliver")
        assert (progress.done, progress.left, rest) == (done, 0, more)
    reply = await client.post(f"{base}/redeliver", json={})
    assert reply.json() == nothing
    reply = await client.post(f"{base}/discard", json={"device_id": DEVICE_B})
    assert reply.json() == nothing | {"done": 1}
    assert_error(await client.get(f"{base}/{refused.id}"), 404)
    reply = await client.post(f"{base}/discard", json={})
    assert (reply.json()["left"], reply.json()["done"]) == (5, 0)
    assert "ordered already" in reply.json()["why"]
    malformed: tuple[object, ...] = (
        {"reasons": ["none"]},
        {"reasons": None},
        {"device_id": "pump"},
        {"all": True},
        [],
    )
    for wrong in malformed:
        for call in ("redeliver", "discard"):
            assert_error(await client.post(f"{base}/{call}", json=wrong), 400)
    assert_error(await client.post(f"{base}/redeliver", json={"reasons": ["no_owner"]}), 400)


async def test_another_accounts_answers_as_one_that_does_not_exist(
    client: httpx.AsyncClient, parking: Parking, dave: Customer, bob: Customer
) -> None:
    foreign = await parking.put(bob.user_id)
    for method, call in (("GET", ""), ("POST", "/redeliver"), ("DELETE", "")):
        replies = [
            await client.request(method, f"{dave.base}/parked/{each}{call}")
            for each in (foreign.id, "0" * 32)
        ]
        assert_error(replies[0], 404)
        assert replies[0].content == replies[1].content
        assert_error(await client.request(method, f"{dave.base}/parked/a%20b{call}"), 400)
