"""Orders are carried out once, however often they are sent and whatever dies meanwhile."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Body, FastAPI, Request, Response

from services.api.logic import idempotency
from services.api.resources import Resources
from services.api.routes.dependencies import Caller
from services.api.routes.errors import add_error_handlers
from services.api.routes.idempotency import Idempotent
from services.api.routes.router import customer_router
from shared.errors import Conflict, Unavailable
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error


@dataclass
class Shop:
    """A call that makes something, and notes what it was asked."""

    made: list[str] = field(default_factory=list)  # order ids
    error: Exception | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self, resources: Resources) -> FastAPI:
        router = customer_router("groups")

        @router.post("/groups", operation_id="createGroup", status_code=201)
        async def order(
            request: Request,
            _caller: Caller,
            order_id: Idempotent,
            response: Response,
            wanted: Annotated[dict[str, Any], Body()],
        ) -> dict[str, Any]:
            self.made.append(order_id)
            self.asked.set()
            await self.go.wait()
            if self.error:
                raise self.error
            response.headers["Location"] = f"{request.url.path}/{order_id}"
            response.headers["ETag"] = '"1"'
            return {"id": order_id, "wanted": wanted}

        app = FastAPI()
        app.include_router(router)
        add_error_handlers(app)
        app.state.resources = resources
        return app


@pytest.fixture
async def shop() -> Shop:
    made = Shop()
    made.go.set()
    return made


@pytest.fixture
async def customer(resources: Resources) -> Customer:
    return await new_customer(resources)


@pytest.fixture
async def http(shop: Shop, resources: Resources) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(shop.app(resources), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def send(
    http: httpx.AsyncClient, customer: Customer, key: str, body: object = 1, **headers: str
) -> httpx.Response:
    wanted = {"wanted": body}
    given = {"Idempotency-Key": key, **headers}
    return await http.post(f"{customer.base}/groups", json=wanted, headers=given)


async def stored(resources: Resources, customer: Customer) -> list[dict[str, Any]]:
    items = resources.idempotency.container.query_items(
        "SELECT * FROM c", partition_key=customer.user_id
    )
    return [item async for item in items]


async def test_sent_again_it_gets_the_same_reply(
    http: httpx.AsyncClient, shop: Shop, customer: Customer, resources: Resources
) -> None:
    first = await send(http, customer, "k1")
    again = await send(http, customer, "k1")
    assert len(shop.made) == 1
    assert first.status_code == again.status_code == 201
    assert first.content == again.content
    for name in ("location", "etag", "content-type"):
        assert first.headers[name] == again.headers[name]
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    # What is kept holds no API key, and another way to send the key gets the same.
    assert customer.api_key not in json.dumps(await stored(resources, customer))
    url = f"/api/user/{customer.user_id}/-/groups"
    headers = {"X-API-Key": customer.api_key, "Idempotency-Key": "k1"}
    elsewhere = await http.post(url, json={"wanted": 1}, headers=headers)
    assert elsewhere.headers["location"] == f"{url}/{shop.made[0]}"
    assert len(shop.made) == 1


async def test_without_the_header_each_request_is_an_order(
    http: httpx.AsyncClient, shop: Shop, customer: Customer, resources: Resources
) -> None:
    for _ in range(2):
        await http.post(f"{customer.base}/groups", json={})
    assert len(set(shop.made)) == 2
    assert await stored(resources, customer) == []


async def test_another_request_with_the_same_key_is_refused(
    http: httpx.AsyncClient, shop: Shop, customer: Customer, resources: Resources
) -> None:
    await send(http, customer, "k1")
    other_body = await send(http, customer, "k1", body=2)
    assert "another request" in assert_said(other_body, 409)
    other = await new_customer(resources)
    assert (await send(http, other, "k1")).status_code == 201
    assert len(shop.made) == 2


async def test_at_the_same_time_one_is_carried_out(
    http: httpx.AsyncClient, shop: Shop, customer: Customer
) -> None:
    shop.go.clear()
    sending = [asyncio.create_task(send(http, customer, "k1")) for _ in range(10)]
    for finished in islice(asyncio.as_completed(sending), 9):
        await finished
    shop.go.set()
    replies = await asyncio.gather(*sending)
    refused = [reply for reply in replies if reply.status_code == 409]
    assert len(refused) == 9
    assert {reply.headers["retry-after"] for reply in refused} == {"1"}
    assert len(shop.made) == 1
    assert (await send(http, customer, "k1")).json()["id"] == shop.made[0]


async def test_what_was_refused_may_be_tried_with_the_same_key(
    http: httpx.AsyncClient, shop: Shop, customer: Customer, resources: Resources
) -> None:
    shop.error = Conflict("It is there already.")
    assert_said(await send(http, customer, "k1"), 409)
    assert_said(await send(http, customer, "k1", body=2), 409)
    assert await stored(resources, customer) == []
    not_an_object = await http.post(
        f"{customer.base}/groups", json=[1], headers={"Idempotency-Key": "k1"}
    )
    assert_said(not_an_object, 400)
    unknown = await http.post(
        f"{customer.base}/groups?a=1", json={}, headers={"Idempotency-Key": "k1"}
    )
    assert_said(unknown, 400)
    assert await stored(resources, customer) == []


@pytest.mark.parametrize("error", [Unavailable("It does not answer."), RuntimeError("bug")])
async def test_what_failed_here_goes_on_as_the_same_order(
    http: httpx.AsyncClient, shop: Shop, customer: Customer, error: Exception
) -> None:
    shop.error = error
    assert (await send(http, customer, "k1")).status_code >= 500
    assert_said(await send(http, customer, "k1", body=2), 409)  # it may have made something
    shop.error = None
    reply = await send(http, customer, "k1")
    assert reply.status_code == 201
    assert shop.made == [reply.json()["id"]] * 2


async def test_a_claim_whose_process_died_is_taken_over(
    http: httpx.AsyncClient, shop: Shop, customer: Customer, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.go.clear()
    dying = asyncio.create_task(send(http, customer, "k1"))
    await shop.asked.wait()
    dying.cancel()
    await asyncio.wait([dying])
    shop.go.set()
    assert_said(await send(http, customer, "k1"), 409)
    monkeypatch.setattr(idempotency, "TAKEOVER", timedelta(0))
    reply = await send(http, customer, "k1")
    assert reply.status_code == 201
    assert shop.made == [reply.json()["id"]] * 2


async def test_a_long_order_keeps_its_claim_and_its_reply(
    http: httpx.AsyncClient,
    shop: Shop,
    customer: Customer,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def claims() -> dict[str, str]:
        return {each["id"]: each["claimed_at"] for each in await stored(resources, customer)}

    monkeypatch.setattr(idempotency, "RENEWAL_SECONDS", 0)  # so one is under way at the end
    shop.go.clear()
    keys = [f"k{number}" for number in range(5)]
    sending = [asyncio.create_task(send(http, customer, key)) for key in keys]
    while len(shop.made) < len(keys):
        await shop.asked.wait()
        shop.asked.clear()
    first = await claims()
    while not first.items().isdisjoint((await claims()).items()):
        pass
    shop.go.set()
    assert {reply.status_code for reply in await asyncio.gather(*sending)} == {201}
    for key in keys:
        assert (await send(http, customer, key)).headers["idempotency-replayed"]
    assert len(shop.made) == len(keys)


@pytest.mark.parametrize("key", ["", "a b", "ü".encode().decode("latin-1"), "a" * 256])
async def test_malformed_keys(
    http: httpx.AsyncClient, shop: Shop, customer: Customer, key: str
) -> None:
    headers = [(b"Idempotency-Key", key.encode("latin-1"))]
    reply = await http.post(f"{customer.base}/groups", json={}, headers=headers)
    assert_said(reply, 400)
    assert not shop.made


def assert_said(reply: httpx.Response, status: int) -> str:
    """As `assert_error`, without what the middleware adds."""
    reply.headers.update({"cache-control": "no-store", "referrer-policy": "no-referrer"})
    return assert_error(reply, status)
