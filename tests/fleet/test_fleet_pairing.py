"""Pairing, editing and deleting devices over the REST API."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.api.logic import intervals, pairing
from services.api.logic.ids import new_device_key
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources
from shared.schemas.documents import Notification, TimelineEntry
from stack.local import LocalStack
from tests.api.customers import Customer, new_customer, new_gateway, pairing_request
from tests.api.mqtt_gateway import connected

UNKNOWN = "X400_" + "0" * 40


@pytest.fixture(scope="module")
async def carol(resources: Resources) -> Customer:
    """An account of this module's own."""
    return await new_customer(resources)


def new_device(made: Manufactured, **fields: str) -> dict[str, str]:
    return {"device_key": made.device_key, "name": "Boiler", **fields}


async def test_a_gateway_is_paired_and_rebooted(
    stack: LocalStack, client: httpx.AsyncClient, stores: pairing.Stores, carol: Customer
) -> None:
    made = await new_gateway(stores)
    group = (await client.post(f"{carol.base}/groups", json={"name": "South"})).json()
    wanted = new_device(made, location="41.890210,12.492231", group_id=group["id"])
    port = stack.settings.mqtt_port
    async with connected(made.device_connection_string, stack.settings.bind, port) as gateway:
        reply = await client.post(f"{carol.base}/devices", json=wanted)
        assert (await gateway.method())[0] == "reboot"
    assert reply.status_code == 201, reply.text
    device = reply.json()["device"]
    assert {name: device[name] for name in wanted} == wanted
    assert reply.headers["location"] == f"{carol.base}/devices/{made.device_id}"
    read = await client.get(reply.headers["location"])
    assert read.json() == [reply.json()]
    assert read.headers["etag"] == reply.headers["etag"]
    listed = await client.get(f"{carol.base}/devices/group/{group['id']}")
    assert [each["device_id"] for each in listed.json()] == [made.device_id]
    twin = await stores.hub.get_twin(made.device_id)
    assert twin.tags["group_id"] == group["id"]

    again = await client.post(f"{carol.base}/devices", json=wanted)
    assert again.status_code == 409
    assert made.device_id in again.json()["error"]


async def test_an_unknown_key_and_one_that_is_paired_elsewhere_get_the_same_answer(
    client: httpx.AsyncClient, boiler: Manufactured, carol: Customer
) -> None:
    elsewhere = await client.post(f"{carol.base}/devices", json=new_device(boiler))
    unknown = await client.post(
        f"{carol.base}/devices", json={"device_key": new_device_key(), "name": "Boiler"}
    )
    assert elsewhere.status_code == unknown.status_code == 404
    assert elsewhere.content == unknown.content
    assert elsewhere.headers.keys() == unknown.headers.keys()


async def test_wrong_keys_are_counted_and_then_right_ones_wait_too(
    client: httpx.AsyncClient, resources: Resources, stores: pairing.Stores
) -> None:
    guesser = await new_customer(resources)
    lines = [f"{new_device_key()},Guess" for _ in range(25)]
    report = await _import(client, guesser, "device_key,name", *lines)
    sentences = {each["error"].partition(".")[0] for each in report["lines"]}
    assert (report["failed"], len(sentences)) == (25, 2)
    made = await new_gateway(stores)
    refused = await client.post(f"{guesser.base}/devices", json=new_device(made))
    assert refused.status_code == 429
    assert 3500 < int(refused.headers["retry-after"]) <= 3600
    found = await stores.gateways.get(made.device_id)
    assert found is not None
    assert intervals.current(found[0]) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"device_key": "short"},
        {"device_key": None},
        {"name": ""},
        {"name": "  "},
        {"name": "a\nb"},
        {"name": "n" * 101},
        {"location": "91,0"},
        {"location": "here"},
        {"location": 12},
        {"group_id": "no such id"},
        {"surprise": ""},
    ],
)
async def test_what_cannot_be_a_device_is_refused_without_repeating_it(
    client: httpx.AsyncClient, alice: Customer, wrong: dict[str, object]
) -> None:
    key = new_device_key()
    body = {"device_key": key, "name": "Boiler"} | wrong
    reply = await client.post(f"{alice.base}/devices", json=body)
    assert reply.status_code == 400, reply.text
    assert key not in reply.text


async def test_the_same_order_sent_again_is_told_as_made(
    stores: pairing.Stores, carol: Customer
) -> None:
    """A process that died after it had paired leaves its order to the next."""
    made = await new_gateway(stores)
    order = str(uuid.uuid4())
    request = pairing.PairingRequest(carol.user_id, made.device_key, "Boiler", order_id=order)
    first = await pairing.pair(stores, request)
    again = await pairing.pair(stores, request)
    assert not again.already
    assert again.device == first.device
    other = await pairing.pair(stores, pairing_request(carol, made))
    assert other.already


async def test_location_and_group_are_edited_and_the_name_is_not(
    client: httpx.AsyncClient, stores: pairing.Stores, carol: Customer, boiler: Manufactured
) -> None:
    made = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(carol, made, "Boiler"))
    url = f"{carol.base}/devices/{made.device_id}"
    group = (await client.post(f"{carol.base}/groups", json={"name": "North"})).json()["id"]
    tag = (await client.get(url)).headers["etag"]

    moved = await client.patch(url, json={"group_id": group}, headers={"If-Match": tag})
    assert moved.status_code == 200, moved.text
    assert moved.json()["device"]["group_id"] == group
    assert (await stores.hub.get_twin(made.device_id)).tags["group_id"] == group
    lost = await client.patch(url, json={"location": "1,2"}, headers={"If-Match": tag})
    assert lost.status_code == 412
    # What was done before an interruption may be asked for again as it was.
    repeated = await client.patch(url, json={"group_id": group}, headers={"If-Match": tag})
    assert (repeated.status_code, repeated.headers["etag"]) == (200, moved.headers["etag"])
    placed = await client.patch(
        url, json={"location": "1,2"}, headers={"If-Match": moved.headers["etag"]}
    )
    assert placed.json()["device"] | {"location": ""} == moved.json()["device"]
    assert placed.json()["device"]["location"] == "1,2"
    assert (await client.get(url)).headers["etag"] == placed.headers["etag"]

    out = await client.patch(url, json={"group_id": "", "location": ""})
    assert (out.json()["device"]["group_id"], out.json()["device"]["location"]) == ("", "")
    assert (await stores.hub.get_twin(made.device_id)).tags["group_id"] == ""
    for body, status in (
        ({"name": "Other"}, 400),
        ({"location": "x"}, 400),
        ({"location": None}, 400),
        ({"group_id": "nothing"}, 404),
        ([], 400),
    ):
        assert (await client.patch(url, json=body)).status_code == status
    for device_id in (boiler.device_id, UNKNOWN):
        foreign = await client.patch(f"{carol.base}/devices/{device_id}", json={"location": "1,2"})
        assert foreign.status_code == 404
    assert (await client.patch(f"{carol.base}/devices/x", json={})).status_code == 400


async def test_edits_at_once_leave_entry_and_twin_agreeing(
    client: httpx.AsyncClient, stores: pairing.Stores, carol: Customer
) -> None:
    made = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(carol, made))
    url = f"{carol.base}/devices/{made.device_id}"
    groups = [
        (await client.post(f"{carol.base}/groups", json={"name": str(n)})).json()["id"]
        for n in range(3)
    ]
    replies = await asyncio.gather(
        *(client.patch(url, json={"group_id": each}) for each in [*groups, "", *groups])
    )
    assert {each.status_code for each in replies} <= {200, 409}
    assert any(each.status_code == 200 for each in replies)
    entry = await stores.devices.get(carol.user_id, made.device_id)
    assert entry is not None
    assert (await stores.hub.get_twin(made.device_id)).tags["group_id"] == entry.group_id


@pytest.mark.parametrize("history", ["keep", "delete"])
async def test_a_deleted_device_is_nobodys_and_its_history_goes_where_asked(
    client: httpx.AsyncClient,
    resources: Resources,
    stores: pairing.Stores,
    carol: Customer,
    bob: Customer,
    history: str,
) -> None:
    made = await new_gateway(stores)
    other = await new_gateway(stores)
    for each in (made, other):
        await pairing.pair(stores, pairing_request(carol, each))
        await _tell(resources, carol, each)
    url = f"{carol.base}/devices/{made.device_id}"
    assert (await client.delete(f"{bob.base}/devices/{made.device_id}")).status_code == 404
    assert (await client.delete(url, params={"history": "some"})).status_code == 400
    gone = await client.delete(url, params={"history": history} if history != "keep" else {})
    assert (gone.status_code, gone.json()) == (200, {"result": "deleted"})
    assert (await client.get(url)).status_code == 404
    assert (await client.delete(url)).status_code == 200, "repeating completes"
    left = [await _told(resources, carol, each) for each in (made, other)]
    assert left == [2 if history == "keep" else 0, 2]
    paired = await client.post(f"{bob.base}/devices", json=new_device(made))
    assert paired.status_code == 201


async def _tell(resources: Resources, customer: Customer, made: Manufactured) -> None:
    """A notification and an event of a device."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    about = {"user_id": customer.user_id, "device_id": made.device_id}
    notification = Notification.model_validate(
        {
            **about,
            "id": f"n-{made.device_id}",
            "device_name": "Boiler",
            "level": 1,
            "text": "hot",
            "created_at": now,
            "enqueued_at": now,
        }
    )
    await resources.notifications.container.create_item(notification.model_dump(mode="json"))
    await resources.timeline.add(
        TimelineEntry.model_validate(
            {
                **about,
                "id": "started",
                "event": "started",
                "detail": "",
                "created_at": now,
                "enqueued_at": now,
            }
        )
    )


async def _told(resources: Resources, customer: Customer, made: Manufactured) -> int:
    """How much of what `_tell` told is there."""
    found = 0
    for container, key, condition in (
        (resources.notifications.container, customer.user_id, "c.device_id = @device"),
        (resources.timeline.container, made.device_id, "c.event = 'started'"),
    ):
        rows = container.query_items(
            f"SELECT c.id FROM c WHERE {condition}",
            parameters=[{"name": "@device", "value": made.device_id}],
            partition_key=key,
        )
        found += len([row async for row in rows])
    return found


async def _import(client: httpx.AsyncClient, customer: Customer, *lines: str) -> dict[str, Any]:
    reply = await client.post(
        f"{customer.base}/devices/import",
        content="\n".join(lines),
        headers={"Content-Type": "text/csv"},
    )
    assert reply.status_code == 200, reply.text
    report: dict[str, Any] = reply.json()
    return report
