"""The contract's nine calls against the running service: what they answer when all is well."""

from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.api.logic import pairing
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources
from shared.schemas.documents import DayCount, GroupDocument, Ledger
from tests.api.customers import Customer, new_customer, new_gateway, pairing_request

DEVICE_FIELDS = [
    *("id", "device_id", "device_key", "user_id", "group_id", "name", "type", "location"),
    *("connectivity", "fwversion", "app_name", "app_version", "stat_device_id", "ICCID"),
]
GROUP_FIELDS = ["id", "group_of_user_id", "name", "client_name", "email", "telephone"]
STATS_FIELDS = [
    "id",
    "stat_of_device_id",
    *(
        f"{unit}_{period}"
        for unit in ("msg", "bytes")
        for period in ("tot", "current", *map(str, range(1, 8)))
    ),
]


async def test_devices(client: httpx.AsyncClient, alice: Customer, pump: Manufactured) -> None:
    reply = await client.get(f"{alice.base}/devices")
    assert reply.status_code == 200
    found = [one for one in reply.json() if one["device"]["device_id"] == pump.device_id]
    assert len(found) == 1
    assert list(found[0]) == ["device", "status"]
    device = found[0]["device"]
    assert list(device) == DEVICE_FIELDS
    assert all(isinstance(value, str) for value in device.values())
    assert device["device_key"] == pump.device_key
    assert device["user_id"] == alice.user_id
    assert (device["name"], device["location"]) == ("Pump", "41.890210,12.492231")
    assert device["type"] == "X400"
    assert found[0]["status"] == "Disconnected"


async def test_devices_come_ordered(
    client: httpx.AsyncClient,
    stores: pairing.Stores,
    resources: Resources,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customer = await new_customer(resources)
    made = [await new_gateway(stores) for _ in range(5)]
    for gateway in made:
        await pairing.pair(stores, pairing_request(customer, gateway))
    listed = (await client.get(f"{customer.base}/devices")).json()
    expected = sorted(one.device_id for one in made)
    assert [one["device"]["id"] for one in listed] == expected
    monkeypatch.setattr("services.api.store.devices.LIST_PAGE", 2)
    paged = await stores.devices.of_account(customer.user_id)
    assert [one.device_id for one in paged] == expected


async def test_no_devices(client: httpx.AsyncClient, resources: Resources) -> None:
    customer = await new_customer(resources)
    for call in ("devices", "groups"):
        reply = await client.get(f"{customer.base}/{call}")
        assert (reply.status_code, reply.json()) == (200, [])


async def test_one_device(client: httpx.AsyncClient, alice: Customer, pump: Manufactured) -> None:
    reply = await client.get(f"{alice.base}/devices/{pump.device_id}")
    assert reply.status_code == 200
    [found] = reply.json()
    # Not compared with the list whole: ingest may write the device's state in between.
    assert list(found) == ["device", "status"]
    assert list(found["device"]) == DEVICE_FIELDS
    assert found["device"]["device_id"] == pump.device_id


async def test_status(client: httpx.AsyncClient, alice: Customer, pump: Manufactured) -> None:
    reply = await client.get(f"{alice.base}/devices/{pump.device_id}/status")
    assert (reply.status_code, reply.json()) == (200, {"connectionState": "Disconnected"})


async def test_statistics_of_a_silent_device(
    client: httpx.AsyncClient, alice: Customer, pump: Manufactured
) -> None:
    reply = await client.get(f"{alice.base}/devices/{pump.device_id}/stat")
    assert reply.status_code == 200
    assert list(reply.json()) == STATS_FIELDS
    assert reply.json()["stat_of_device_id"] == pump.device_id
    assert {reply.json()[field] for field in STATS_FIELDS[2:]} == {0}


async def test_statistics_are_those_of_the_ledger_and_of_this_pairing(
    client: httpx.AsyncClient, alice: Customer, stores: pairing.Stores, resources: Resources
) -> None:
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, gateway))
    found = await stores.devices.get_with_etag(alice.user_id, gateway.device_id)
    assert found is not None
    device = found[0].model_copy(update={"stat_device_id": f"hub:2:{gateway.device_id}"})
    assert await stores.devices.put(device, found[1])
    url = f"{alice.base}/devices/{gateway.device_id}/stat"
    today = None
    while today != (today := datetime.now(UTC).date()):  # once more where midnight comes between
        ledger = Ledger(
            id=gateway.device_id,
            partition="hub/2",
            owner=device.owner,
            messages=30,
            bytes=3000,
            days={
                today: DayCount(messages=1, bytes=10),
                today - timedelta(days=7): DayCount(messages=7, bytes=70),
            },
        )
        await resources.ledgers.container.upsert_item(ledger.model_dump(mode="json"))
        stats = (await client.get(url)).json()
    assert stats["id"] == f"hub:2:{gateway.device_id}"
    assert (stats["msg_tot"], stats["bytes_tot"]) == (30, 3000)
    assert (stats["msg_current"], stats["bytes_current"]) == (1, 10)
    assert (stats["msg_7"], stats["bytes_7"], stats["msg_1"]) == (7, 70, 0)

    others = ledger.model_copy(update={"owner": f"{alice.user_id} 2020-01-01T00:00:00+00:00"})
    await resources.ledgers.container.upsert_item(others.model_dump(mode="json"))
    stats = (await client.get(url)).json()
    assert (stats["msg_tot"], stats["bytes_current"]) == (0, 0)


async def test_groups(
    client: httpx.AsyncClient, alice: Customer, bob: Customer, stores: pairing.Stores
) -> None:
    group = GroupDocument(id="boilers", user_id=alice.user_id, name="Boilers", telephone="+39 06 1")
    await stores.groups.create(group)
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, gateway, group_id="boilers"))

    groups = (await client.get(f"{alice.base}/groups")).json()
    assert [list(one) for one in groups] == [GROUP_FIELDS]
    assert groups[0]["group_of_user_id"] == alice.user_id
    assert groups[0]["telephone"] == "+39 06 1"

    reply = await client.get(f"{alice.base}/devices/group/boilers")
    assert reply.status_code == 200
    assert [one["device_id"] for one in reply.json()] == [gateway.device_id]
    assert list(reply.json()[0]) == DEVICE_FIELDS

    foreign = await client.get(f"{bob.base}/devices/group/boilers")
    unknown = await client.get(f"{bob.base}/devices/group/nothing")
    assert (foreign.status_code, foreign.content) == (404, unknown.content)


async def test_orders_over_the_air_wait_for_the_ota_service(
    client: httpx.AsyncClient, alice: Customer, pump: Manufactured
) -> None:
    for order in ("newapp/app1/1.0.0", "newfirmware/fw1/NOW"):
        reply = await client.post(f"{alice.base}/devices/{pump.device_id}/{order}")
        assert reply.status_code == 501
        assert "OTA" in reply.json()["error"]


async def test_the_key_may_stand_in_a_header(client: httpx.AsyncClient, alice: Customer) -> None:
    url = f"/api/user/{alice.user_id}/-/devices"
    with_key = await client.get(url, headers={"X-API-Key": alice.api_key})
    assert with_key.status_code == 200
    assert (await client.get(url)).status_code == 401
    path_counts = await client.get(f"{alice.base}/devices", headers={"X-API-Key": "other"})
    assert path_counts.status_code == 200


async def test_health_and_documents(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).status_code == 200
    ready = await client.get("/readyz")
    assert ready.json()["checks"] == {"cosmos": "ok", "iothub": "ok"}
    metrics = (await client.get("/metrics")).text
    assert 'mymote_api_requests_total{method="GET",route="/healthz",status="200"}' in metrics
    assert (await client.get("/docs")).status_code == 200
    home = await client.get("/")
    assert home.text.count("curl ") == 9
    assert home.headers["content-type"].startswith("text/html")
