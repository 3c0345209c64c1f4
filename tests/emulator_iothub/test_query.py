"""Queries for twins, as fleets use them."""

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.iothub.errors import HubError
from emulator.iothub.query import compile_query
from tests.emulator_iothub.iothub_harness import API, Running, running_hub

QUERY = f"/devices/query{API}"


@pytest.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Running]:
    path: Path = tmp_path_factory.mktemp("fleet")
    async with running_hub(path) as running:
        for number in range(5):
            await running.create(f"gateway{number}")
            await running.http.patch(
                f"/twins/gateway{number}{API}",
                json={
                    "tags": {"group_id": f"g{number % 2}", "user": {"name": "o'neil"}},
                    "properties": {"desired": {"rate": number, "on": number > 2}},
                },
            )
        yield running


async def found(fleet: Running, query: str) -> list[int]:
    response = await fleet.http.post(QUERY, json={"query": query})
    assert response.status_code == 200, response.text
    assert response.headers["x-ms-item-type"] == "Twin"
    return [int(twin["deviceId"][-1]) for twin in response.json()]


@pytest.mark.parametrize(
    ("condition", "numbers"),
    [
        ("deviceId = 'gateway3'", [3]),
        ("deviceId='nobody'", []),
        ("deviceId IN ['gateway1', 'gateway4', 'x']", [1, 4]),
        ("tags.group_id = 'g1'", [1, 3]),
        ("tags.group_id != 'g1'", [0, 2, 4]),
        ("tags.missing != 'g1'", []),
        ("tags.user.name = 'o\\'neil' AND NOT tags.group_id = 'g1'", [0, 2, 4]),
        ("properties.desired.rate >= 1 AND properties.desired.rate < 3", [1, 2]),
        ("properties.desired.rate = '1'", []),
        ("properties.desired.on = true", [3, 4]),
        ("properties.desired.on = 1", []),
        ("properties.desired.rate = 0 OR (deviceId = 'gateway2' and status = 'enabled')", [0, 2]),
        ("is_defined(properties.reported.fw)", []),
        (
            "not is_defined(properties.reported.fw) AND connectionState = 'Disconnected'",
            [0, 1, 2, 3, 4],
        ),
        ("properties.desired.rate > 'a'", []),
    ],
)
async def test_conditions(fleet: Running, condition: str, numbers: list[int]) -> None:
    assert await found(fleet, f"SELECT * FROM devices WHERE {condition}") == numbers


async def test_pages(fleet: Running) -> None:
    body, seen, token = {"query": "select * from devices"}, [], ""
    for expected in (2, 2, 1):
        headers = {"x-ms-max-item-count": "2", "x-ms-continuation": token}
        response = await fleet.http.post(QUERY, json=body, headers=headers)
        assert len(response.json()) == expected
        seen += [twin["deviceId"] for twin in response.json()]
        token = response.headers.get("x-ms-continuation", "")
    assert token == ""
    assert seen == [f"gateway{number}" for number in range(5)]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 400),
        ("DROP TABLE devices", 400),
        ("SELECT * FROM devices WHERE", 400),
        ("SELECT * FROM devices WHERE deviceId", 400),
        ("SELECT * FROM devices WHERE deviceId = ", 400),
        ("SELECT * FROM devices WHERE (deviceId = 'a'", 400),
        ("SELECT * FROM devices WHERE deviceId = 'a' garbage", 400),
        ("SELECT * FROM devices WHERE deviceId = 'a'; DELETE", 400),
        ("SELECT * FROM devices WHERE " + "(" * 40 + "deviceId = 'a'" + ")" * 40, 400),
        ("SELECT * FROM devices WHERE unknown = 1", 501),
        ("SELECT * FROM devices GROUP BY status", 501),
        ("SELECT COUNT() AS n FROM devices", 501),
        ("SELECT * FROM devices.jobs", 501),
        ("SELECT * FROM devices WHERE deviceId IN ['" + "a" * 20000 + "']", 400),
    ],
)
async def test_refused_queries(fleet: Running, query: str, status: int) -> None:
    response = await fleet.http.post(QUERY, json={"query": query})
    assert response.status_code == status
    assert response.json()["Message"].startswith("ErrorCode:")


async def test_refused_requests(fleet: Running) -> None:
    body = {"query": "SELECT * FROM devices"}
    for headers in ({"x-ms-max-item-count": "0"}, {"x-ms-continuation": "%%%"}):
        assert (await fleet.http.post(QUERY, json=body, headers=headers)).status_code == 400
    for text in (b"", b"[]", b'{"query": 7}'):
        assert (await fleet.http.post(QUERY, content=text)).status_code == 400


@given(st.text(max_size=60))
def test_no_text_crashes_the_compiler(text: str) -> None:
    for query in (text, f"SELECT * FROM devices WHERE {text}"):
        with suppress(HubError):
            assert compile_query(query).sql
