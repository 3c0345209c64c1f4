"""An id is no way to another path: of ours, of the database's, of the OTA service's."""

from typing import Any

import httpx
import pytest

from tests.api.customers import Customer
from tests.api.test_api_refusals import assert_error

CUSTOMER = "/api/user/{userid}/{webapi_key}"


@pytest.mark.parametrize("dots", ["%2E", "%2E%2E", "%2e."])
async def test_dots_in_the_place_of_an_id(
    client: httpx.AsyncClient, alice: Customer, dots: str
) -> None:
    paths: dict[str, Any] = (await client.get("/openapi.json")).json()["paths"]
    asked = 0
    for path, calls in paths.items():
        inner = path.removeprefix(CUSTOMER)
        for id_ in [part for part in inner.split("/") if part.startswith("{") and inner != path]:
            url = "/".join(
                dots if part == id_ else "x" if part.startswith("{") else part
                for part in inner.split("/")
            )
            for method in calls:
                reply = await client.request(method, alice.base + url)
                if reply.status_code != 415:  # a body is missing
                    assert_error(reply, 404 if reply.status_code == 404 else 400)
                asked += 1
    assert asked > 40


async def test_dots_among_ids_in_a_body(client: httpx.AsyncClient, alice: Customer) -> None:
    for dots in (".", ".."):
        url = f"{alice.base}/notifications/acknowledge"
        assert_error(await client.post(url, json={"ids": ["a", dots]}), 400)
    reply = await client.post(url, json={"ids": ["...", ".a"]})
    assert reply.json()["missing"] == 2
