"""Pairing many gateways from a CSV file."""

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.logic import import_csv, pairing
from services.api.logic.ids import device_id_of, new_device_key
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources
from shared.errors import InvalidRequest
from tests.api.customers import Customer, new_customer, new_gateway, pairing_request

CSV = {"Content-Type": "text/csv; charset=utf-8"}


async def send(
    client: httpx.AsyncClient, customer: Customer, content: str | bytes, **parameters: str
) -> httpx.Response:
    return await client.post(
        f"{customer.base}/devices/import", content=content, headers=CSV, params=parameters
    )


async def test_each_line_has_its_own_result(
    client: httpx.AsyncClient,
    resources: Resources,
    stores: pairing.Stores,
    boiler: Manufactured,
) -> None:
    dora = await new_customer(resources)
    first, second, third, mine = await asyncio.gather(*(new_gateway(stores) for _ in range(4)))
    await pairing.pair(stores, pairing_request(dora, mine, "Mine"))
    for name in ("South", "Twice", "Twice"):
        await client.post(f"{dora.base}/groups", json={"name": name})
    groups = {each["name"]: each["id"] for each in (await client.get(f"{dora.base}/groups")).json()}
    text = "\r\n".join(
        [
            "\ufeffdevice_key;name;location;group",
            f"{first.device_key};Pump; 41.890210,12.492231 ;South",
            "",
            f'{second.device_key};"Pump ""2""; big";;{groups["South"]}',
            f"{mine.device_key};Renamed;;",
            f"{boiler.device_key};Elsewhere;;",
            f"{new_device_key()};Unknown;;",
            f"{first.device_key};Again;;",
            f"{third.device_key};Bad place;100,0;",
            f"{third.device_key[:-1]};Short;;",
            f"{third.device_key};Pump;;Twice",
            f"{third.device_key};Pump;;Nowhere",
            f"{third.device_key};Pump",
        ]
    )
    dry = await send(client, dora, text, dry_run="true")
    assert [each["result"] for each in dry.json()["lines"]] == [
        *("valid", "valid", "already", "valid", "valid"),
        *["failed"] * 6,
    ]
    assert len((await client.get(f"{dora.base}/devices")).json()) == 1

    reply = await send(client, dora, text)
    assert reply.status_code == 200, reply.text
    report = reply.json()
    lines: list[dict[str, Any]] = report.pop("lines")
    assert report == {"dry_run": False, "valid": 0, "paired": 2, "already": 1, "failed": 8}
    assert [each["line"] for each in lines] == [2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]
    assert [each["name"] for each in lines[:3]] == ["Pump", 'Pump "2"; big', "Mine"]
    assert [each["device_id"] for each in lines] == [
        *(first.device_id, second.device_id, mine.device_id),
        *[""] * 8,
    ]
    errors = [each["error"] for each in lines]
    assert errors[:3] == ["", "", ""]
    assert errors[3] == errors[4]
    for part, error in zip(
        ("Line 2", "location", "64", "Several", "no group", "2 fields"), errors[5:], strict=True
    ):
        assert part in error
    for made in (first, second, third, mine, boiler):
        assert made.device_key[:-1] not in reply.text
    devices = (await client.get(f"{dora.base}/devices/group/{groups['South']}")).json()
    assert {each["device_id"] for each in devices} == {first.device_id, second.device_id}

    again = (await send(client, dora, text)).json()
    assert (again["paired"], again["already"]) == (0, 3)


async def test_a_file_is_sent_again_under_its_idempotency_key(
    client: httpx.AsyncClient, stores: pairing.Stores, bob: Customer
) -> None:
    made = await new_gateway(stores)
    headers = CSV | {"Idempotency-Key": f"import-{made.device_id}"}
    content = f"name,device_key\nPump,{made.device_key}"
    url = f"{bob.base}/devices/import"
    first = await client.post(url, content=content, headers=headers)
    again = await client.post(url, content=content, headers=headers)
    assert first.json()["paired"] == 1
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"", 400),
        (b"\n\n", 400),
        (b"device_key\n", 400),
        (b"device_key,name,name\n", 400),
        (b"device_key,name,colour\n", 400),
        (b'device_key,name\n"a', 400),
        (b"device_key,name\n\xff,a", 400),
        (b"device_key,name\na\0,b", 400),
        (b"device_key,name" + b"\na,b" * 1001, 400),
        (b"device_key,name" + b"\n" * 300_000, 413),
    ],
)
async def test_a_file_that_is_none_is_refused_whole(
    client: httpx.AsyncClient, alice: Customer, content: bytes, status: int
) -> None:
    reply = await send(client, alice, content)
    assert reply.status_code == status
    assert list(reply.json()) == ["error"]


async def test_only_csv_is_taken(client: httpx.AsyncClient, alice: Customer) -> None:
    reply = await client.post(f"{alice.base}/devices/import", json=[])
    assert reply.status_code == 415


@given(st.text() | st.text(alphabet='",;\r\n\x00\ufeffa').map("device_key,name\n".__add__))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        lines = import_csv.read(text.encode(errors="replace"))
    except InvalidRequest:
        return
    numbers = [each.number for each in lines]
    assert numbers == sorted(set(numbers))
    assert all(number >= 2 for number in numbers)


def test_an_id_is_of_the_key_in_the_file() -> None:
    key = new_device_key()
    (line,) = import_csv.read(f"name;device_key\n Pump ; {key} \n".encode())
    assert (line.number, line.name, device_id_of(line.device_key)) == (2, "Pump", device_id_of(key))
