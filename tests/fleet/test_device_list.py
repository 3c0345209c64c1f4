"""Searching, filtering, sorting and paging an account's devices."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.api.logic.ids import device_id_of, new_device_key
from services.api.resources import Resources
from shared.schemas.documents import DeviceDocument
from tests.api.customers import Customer, new_customer
from tests.known_secrets import keep

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
NAMES = ["Pump 1", "Pump 2", "pump 10", "Boiler", "boiler", "Über", "Pump 1"]


@pytest.fixture(scope="module")
async def carol(resources: Resources) -> Customer:
    return await new_customer(resources)


@pytest.fixture(scope="module")
async def fleet(resources: Resources, carol: Customer) -> list[DeviceDocument]:
    """Carol's devices, as pairing leaves them and ingest keeps them."""
    made = []
    for number, name in enumerate(NAMES):
        key = new_device_key()
        keep(key)
        device = DeviceDocument.model_validate(
            {
                "id": device_id_of(key),
                "device_id": device_id_of(key),
                "user_id": carol.user_id,
                "device_key": key,
                "group_id": "north" if number % 2 else "",
                "name": name,
                "type": "X400" if number < 5 else "X500",
                "status": "Connected" if number in (0, 3) else "Disconnected",
                "app_name": "meter" if number < 3 else "valve",
                "app_version": f"1.0.{number % 3}",
                "fwversion": "2.0.0",
                "ICCID": f"89390100001{number}AB",
                "paired_at": NOON + timedelta(hours=number),
            }
        )
        assert await resources.devices.put(device)
        made.append(device)
    return made


async def page(client: httpx.AsyncClient, carol: Customer, **query: str | int) -> dict[str, Any]:
    reply = await client.get(f"{carol.base}/devices", params=query)
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    assert list(found) == ["items", "next"]
    return found


async def ids_of(client: httpx.AsyncClient, carol: Customer, **query: str | int) -> list[str]:
    found = await page(client, carol, **query)
    assert found["next"] == ""
    return [each["device"]["device_id"] for each in found["items"]]


async def test_without_parameters_the_list_is_the_contracts(
    client: httpx.AsyncClient, carol: Customer, fleet: list[DeviceDocument]
) -> None:
    reply = await client.get(f"{carol.base}/devices")
    found = [each["device"]["device_id"] for each in reply.json()]
    assert found == sorted(each.id for each in fleet)


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"search": "pump"}, [0, 1, 2, 6]),
        ({"search": "PUMP 1"}, [0, 2, 6]),
        ({"search": "über"}, [5]),
        ({"search": "00013ab"}, [3]),
        ({"search": "nothing"}, []),
        ({"search": "%"}, []),
        ({"search": ""}, [0, 1, 2, 3, 4, 5, 6]),
        ({"group": "north"}, [1, 3, 5]),
        ({"group": ""}, [0, 2, 4, 6]),
        ({"group": "south"}, []),
        ({"status": "Connected"}, [0, 3]),
        ({"type": "X500"}, [5, 6]),
        ({"app": "meter"}, [0, 1, 2]),
        ({"version": "1.0.2"}, [2, 5]),
        ({"firmware": "1.0.0"}, []),
        ({"search": "pump", "status": "Disconnected", "group": "", "app": "meter"}, [2]),
    ],
)
async def test_filters(
    client: httpx.AsyncClient,
    carol: Customer,
    fleet: list[DeviceDocument],
    query: dict[str, str],
    numbers: list[int],
) -> None:
    found = await ids_of(client, carol, **query)
    assert sorted(found) == sorted(fleet[number].id for number in numbers)


async def test_search_by_device_id(
    client: httpx.AsyncClient, carol: Customer, fleet: list[DeviceDocument]
) -> None:
    assert await ids_of(client, carol, search=fleet[4].id[:30].upper()) == [fleet[4].id]


FIELDS = {
    "name": "name",
    "status": "status",
    "type": "type",
    "app": "app_name",
    "version": "app_version",
    "firmware": "fwversion",
    "paired_at": "paired_at",
}


@pytest.mark.parametrize("sort", FIELDS)
async def test_sorting_is_total_in_both_directions_and_pages_hold_every_device_once(
    client: httpx.AsyncClient, carol: Customer, fleet: list[DeviceDocument], sort: str
) -> None:
    expected = [
        each.id for each in sorted(fleet, key=lambda each: (getattr(each, FIELDS[sort]), each.id))
    ]
    assert await ids_of(client, carol, sort=sort) == expected
    assert await ids_of(client, carol, sort=f"-{sort}") == expected[::-1]
    paged, cursor = [], ""
    while True:
        found = await page(client, carol, sort=sort, limit=3, cursor=cursor)
        assert len(found["items"]) <= 3
        paged += [each["device"]["device_id"] for each in found["items"]]
        cursor = found["next"]
        if not cursor:
            break
    assert paged == expected


async def test_a_page_shows_what_the_contract_shows(
    client: httpx.AsyncClient, carol: Customer, fleet: list[DeviceDocument]
) -> None:
    (found,) = (await page(client, carol, search=fleet[2].id))["items"]
    (one,) = (await client.get(f"{carol.base}/devices/{fleet[2].id}")).json()
    assert found == one
    assert found["device"]["device_key"] == fleet[2].device_key


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=ten",
        "sort=location",
        "sort=",
        "status=connected",
        "group=a%20b",
        "cursor=nonsense",
        f"search={'a' * 101}",
        "colour=blue",
    ],
)
async def test_malformed_queries(client: httpx.AsyncClient, carol: Customer, query: str) -> None:
    reply = await client.get(f"{carol.base}/devices?{query}")
    assert reply.status_code == 400, reply.text
    assert list(reply.json()) == ["error"]


async def test_a_cursor_is_good_for_its_own_list_only(
    client: httpx.AsyncClient, carol: Customer, alice: Customer, fleet: list[DeviceDocument]
) -> None:
    cursor = (await page(client, carol, limit=2))["next"]
    assert cursor
    for base, query in (
        (carol.base, {"sort": "-name"}),
        (carol.base, {"search": "pump"}),
        (alice.base, {"limit": "2"}),
    ):
        reply = await client.get(f"{base}/devices", params={**query, "cursor": cursor})
        assert reply.status_code == 400, reply.text


async def test_what_is_no_longer_the_accounts_is_not_on_its_pages(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    dora = await new_customer(resources)
    key = new_device_key()
    keep(key)
    left = DeviceDocument(
        id=device_id_of(key),
        device_id=device_id_of(key),
        user_id=dora.user_id,
        device_key=key,
        name="Left behind",
        paired_at=NOON,
        phase="unpairing",
    )
    assert await resources.devices.put(left)
    assert await ids_of(client, dora, limit=10) == []
    assert await resources.devices.get(dora.user_id, left.id) is None
