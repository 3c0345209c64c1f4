"""Notifications: listed, counted, acknowledged, cleared, by one and by many. No ingest here."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest
from azure.cosmos.exceptions import CosmosResourceExistsError

from services.api.logic import notifications
from services.api.logic.notifications import Order, Stores, Wanted
from services.api.resources import Resources
from shared.database import DAY_SECONDS, NOTIFICATIONS, provision
from shared.schemas.documents import GroupDocument
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error
from tests.rest.records import DEVICE_A, DEVICE_B, START, put_notifications

FIELDS = [
    "id",
    "device_id",
    "device_name",
    "level",
    "text",
    "created_at",
    "enqueued_at",
    "state",
    "state_at",
    "state_by",
]


@pytest.fixture
async def carol(resources: Resources) -> Customer:
    """An account of this test alone."""
    return await new_customer(resources)


async def ids_of(client: httpx.AsyncClient, customer: Customer, **query: Any) -> list[str]:
    reply = await client.get(f"{customer.base}/notifications", params=query)
    assert reply.status_code == 200, reply.text
    return [each["id"] for each in reply.json()["items"]]


async def test_pages_are_newest_first_and_miss_nothing(
    client: httpx.AsyncClient, resources: Resources, carol: Customer
) -> None:
    made = await put_notifications(resources, carol.user_id, 25)
    # The same second, a fraction of it later: as plain texts these two would be turned round.
    late = START + timedelta(seconds=24, milliseconds=500)
    made += await put_notifications(resources, carol.user_id, 1, enqueued_at=late)
    seen: list[str] = []
    cursor = ""
    while True:
        reply = await client.get(
            f"{carol.base}/notifications", params={"limit": 10, "cursor": cursor}
        )
        page = reply.json()
        assert len(page["items"]) <= 10
        assert all(list(each) == FIELDS for each in page["items"])
        seen += [each["id"] for each in page["items"]]
        if not (cursor := page["next"]):
            break
    assert seen == [each.id for each in reversed(made)]


async def test_filters(client: httpx.AsyncClient, resources: Resources, carol: Customer) -> None:
    made = await put_notifications(resources, carol.user_id, 6)
    (other,) = await put_notifications(
        resources, carol.user_id, 1, device_id=DEVICE_B, level=3, state="cleared"
    )
    alarms = {made[2].id, made[5].id}
    assert set(await ids_of(client, carol, level=3)) == alarms | {other.id}
    assert set(await ids_of(client, carol, level=3, state="open")) == alarms
    assert await ids_of(client, carol, state="cleared") == [other.id]
    assert await ids_of(client, carol, device_id=DEVICE_B) == [other.id]
    assert await ids_of(client, carol, state="new", level=1) == [made[3].id, made[0].id]
    assert await ids_of(client, carol, device_id=DEVICE_B, state="open") == []
    since, until = START + timedelta(seconds=3), START + timedelta(seconds=5)
    found = await ids_of(client, carol, since=since.isoformat(), until=until.isoformat())
    assert found == [made[4].id, made[3].id]
    group = GroupDocument(id="g1", user_id=carol.user_id, name="North")
    await resources.groups.create(group)
    assert await ids_of(client, carol, group_id="g1") == []
    await resources.devices.container.upsert_item(
        {"id": DEVICE_B, "device_id": DEVICE_B, "user_id": carol.user_id, "group_id": "g1"}
    )
    assert await ids_of(client, carol, group_id="g1") == [other.id]
    assert await ids_of(client, carol, group_id="g1", device_id=DEVICE_A) == []
    assert_error(await client.get(f"{carol.base}/notifications?group_id=g2"), 404)


@pytest.mark.parametrize(
    "query",
    [
        "level=4",
        "level=x",
        "state=old",
        "device_id=pump",
        "group_id=a%20b",
        "since=yesterday",
        "since=1700000000",
        "since=2026-03-14T12:00:00",
        "since=0001-01-01T00:00:00%2B10:00",
        "until=9999-12-31T23:59:59-10:00",
        "limit=0",
        "limit=201",
        "cursor=x",
        "cursor=%00",
    ],
)
async def test_malformed_queries(client: httpx.AsyncClient, alice: Customer, query: str) -> None:
    assert_error(await client.get(f"{alice.base}/notifications?{query}"), 400)


@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(),
        Wanted(states=("new",)),
        Wanted(states=("new", "acknowledged"), level=3),
        Wanted(level=3),
        Wanted(device_id=DEVICE_A),
    ],
)
async def test_a_pages_cost_does_not_grow_with_what_is_there(
    resources: Resources, carol: Customer, wanted: Wanted
) -> None:
    """Few that are wanted, and very many of others, older and newer."""
    costs = []
    await put_notifications(resources, carol.user_id, 20, level=3)
    for others in (0, 150):
        for at in (START - timedelta(days=1), START + timedelta(minutes=1)):
            await put_notifications(
                resources,
                carol.user_id,
                others,
                device_id=DEVICE_B,
                level=1,
                state="cleared",
                enqueued_at=at,
            )
        found, _ = await notifications.page(stores_of(resources), carol.user_id, wanted, 5)
        assert len(found) == 5
        headers = resources.notifications.container.client_connection.last_response_headers
        costs.append(float(headers["x-ms-request-charge"]))
    assert costs[1] < 1.2 * costs[0]


async def test_counts(client: httpx.AsyncClient, resources: Resources, carol: Customer) -> None:
    await put_notifications(resources, carol.user_id, 4)
    await put_notifications(resources, carol.user_id, 2, device_id=DEVICE_B, state="cleared")
    nothing = {"info": 0, "warning": 0, "alarm": 0, "total": 0}
    new = {"info": 2, "warning": 1, "alarm": 1, "total": 4}
    cleared = {"info": 1, "warning": 1, "alarm": 0, "total": 2}
    count = f"{carol.base}/notifications/count"
    assert (await client.get(count)).json() == {
        "new": new,
        "acknowledged": nothing,
        "cleared": cleared,
    }
    assert (await client.get(f"{count}?device_id={DEVICE_B}")).json()["new"] == nothing
    assert_error(await client.get(f"{count}?level=1"), 400)


async def test_acknowledged_then_cleared_by_whom_and_when(
    client: httpx.AsyncClient, resources: Resources, carol: Customer
) -> None:
    (made,) = await put_notifications(resources, carol.user_id)
    url = f"{carol.base}/notifications/{made.id}"
    fresh = (await client.get(url)).json()
    assert (fresh["state"], fresh["state_at"], fresh["state_by"]) == ("new", None, "")
    seen = (await client.post(f"{url}/acknowledge")).json()
    assert seen["state"] == "acknowledged"
    assert seen["state_at"]
    assert seen["state_by"]
    assert (
        (await client.post(f"{url}/acknowledge")).json() == seen == (await client.get(url)).json()
    )
    done = (await client.post(f"{url}/clear")).json()
    assert done["state"] == "cleared"
    assert (await client.post(f"{url}/clear")).json() == done == (await client.get(url)).json()
    assert "cleared" in assert_error(await client.post(f"{url}/acknowledge"), 409)
    # Ingest replays the stream: what it creates again is there, and stays cleared.
    with pytest.raises(CosmosResourceExistsError):
        await resources.notifications.container.create_item(made.model_dump(mode="json"))


async def test_a_change_does_not_prolong_a_notifications_life(
    resources: Resources, carol: Customer
) -> None:
    old = START - timedelta(days=80)
    (made,) = await put_notifications(resources, carol.user_id, enqueued_at=old)
    order = Order("cleared", START, "ada")
    await notifications.change(stores_of(resources), carol.user_id, made.id, order)
    item = await resources.notifications.container.read_item(made.id, carol.user_id)
    assert item["ttl"] == 10 * DAY_SECONDS


async def test_many_by_their_ids(
    client: httpx.AsyncClient, resources: Resources, carol: Customer, bob: Customer
) -> None:
    made = await put_notifications(resources, carol.user_id, 130)
    (foreign,) = await put_notifications(resources, bob.user_id)
    await client.post(f"{carol.base}/notifications/{made[0].id}/clear")
    body = {"ids": [each.id for each in made] + [foreign.id, "unknown", made[1].id]}
    reply = await client.post(f"{carol.base}/notifications/acknowledge", json=body)
    assert reply.json() == {"changed": 129, "unchanged": 1, "missing": 2, "more": False}
    reply = await client.post(f"{carol.base}/notifications/acknowledge", json=body)
    assert reply.json() == {"changed": 0, "unchanged": 130, "missing": 2, "more": False}
    assert await ids_of(client, bob, state="acknowledged") == []


async def test_many_by_a_filter_a_thousand_a_call(
    client: httpx.AsyncClient,
    resources: Resources,
    carol: Customer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await put_notifications(resources, carol.user_id, 9)
    await put_notifications(resources, carol.user_id, 3, device_id=DEVICE_B)
    url = f"{carol.base}/notifications/clear"
    reply = await client.post(url, json={"filter": {"device_id": DEVICE_B, "level": 1}})
    assert reply.json() == {"changed": 1, "unchanged": 0, "missing": 0, "more": False}
    reply = await client.post(url, json={"filter": {"state": "acknowledged"}})
    assert reply.json()["changed"] == 0
    monkeypatch.setattr(notifications, "MAX_CHANGED", 7)
    monkeypatch.setattr(notifications, "MAX_BATCH", 4)
    order = Order("cleared", START + timedelta(hours=1), "ada")
    first = await notifications.change_matching(
        stores_of(resources), carol.user_id, Wanted(), order
    )
    assert (first.changed, first.more) == (7, True)
    await put_notifications(resources, carol.user_id, 1, enqueued_at=order.at)  # as it runs
    second = await notifications.change_matching(
        stores_of(resources), carol.user_id, Wanted(), order
    )
    assert (second.changed, second.more) == (4, False)
    assert len(await ids_of(client, carol, state="new")) == 1


async def test_two_who_change_the_same_ones_at_once_both_succeed(
    resources: Resources, carol: Customer
) -> None:
    made = await put_notifications(resources, carol.user_id, 20)
    ids = [each.id for each in made]
    found = await asyncio.gather(
        *(
            notifications.change_ids(
                stores_of(resources), carol.user_id, ids, Order("acknowledged", START, who)
            )
            for who in ("ada", "ben", "cleo")
        )
    )
    assert sum(each.changed for each in found) == 20


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ids": ["a"], "filter": {}},
        {"ids": []},
        {"ids": ["a/b"]},
        {"ids": ["a"] * 201},
        {"ids": [1]},
        {"filter": {"level": 4}},
        {"filter": {"level": "1"}},
        {"filter": {"until": 5}},
        {"filter": {"colour": "red"}},
        {"filter": None},
        [],
        "all",
    ],
)
async def test_malformed_selections(
    client: httpx.AsyncClient, alice: Customer, body: object
) -> None:
    for call in ("acknowledge", "clear"):
        assert_error(await client.post(f"{alice.base}/notifications/{call}", json=body), 400)


async def test_another_accounts_answers_as_one_that_does_not_exist(
    client: httpx.AsyncClient, resources: Resources, alice: Customer, bob: Customer
) -> None:
    (foreign,) = await put_notifications(resources, bob.user_id)
    for method, call in (("GET", ""), ("POST", "/acknowledge"), ("POST", "/clear")):
        replies = [
            await client.request(method, f"{alice.base}/notifications/{each}{call}")
            for each in (foreign.id, "0" * 32)
        ]
        assert_error(replies[0], 404)
        assert replies[0].content == replies[1].content
        odd = await client.request(method, f"{alice.base}/notifications/a%20b{call}")
        assert_error(odd, 400)


async def test_retention_is_a_setting_also_for_a_container_that_exists(
    resources: Resources,
) -> None:
    cosmos, name = resources.azure.cosmos, resources.settings.cosmos_database
    container = resources.notifications.container
    before = await container.read()
    changed = resources.settings.model_copy(update={"notification_days": 30})
    await provision(cosmos, name, changed.ttls)
    after = await container.read()
    assert after["defaultTtl"] == 30 * DAY_SECONDS
    assert after["indexingPolicy"] == before["indexingPolicy"]
    await provision(cosmos, name, resources.settings.ttls)
    assert (await container.read())["defaultTtl"] == NOTIFICATIONS.ttl == before["defaultTtl"]


def stores_of(resources: Resources) -> Stores:
    return Stores(
        resources.notifications,
        resources.devices,
        resources.groups,
        timedelta(days=resources.settings.notification_days),
    )
