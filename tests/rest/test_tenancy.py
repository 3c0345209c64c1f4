"""Two accounts and random calls: neither ever sees or changes anything of the other."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.api.logic import pairing
from services.api.resources import Resources
from tests.api.test_api_refusals import assert_error
from tests.rest.two_accounts import Side, everything_of, populated

CUSTOMER = "/api/user/{userid}/{webapi_key}"
UNKNOWN = {
    "deviceid": f"X400_{'0' * 40}",
    "messageid": "00000000-0000-4000-8000-000000000000",
    "jobid": "00000000-0000-4000-8000-000000000000",
    "keyid": "0" * 16,
}
# Where else an id of a path may stand: in a query or a body.
ALSO = {
    "device_id": "deviceid",
    "device_key": "device_key",
    "group": "groupid",
    "group_id": "groupid",
    "move_to": "groupid",
    "person_id": "personid",
    "ids": "notificationid",
}
RANDOM = settings(
    max_examples=25,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass(frozen=True)
class Operation:
    """A call, as the OpenAPI document has it."""

    name: str
    method: str
    path: str
    parameters: tuple[str, ...]
    query: tuple[str, ...]
    required: dict[str, str]  # of the query, with a value for each
    media_type: str
    example: Any

    def url(self, side: Side, ids: dict[str, str]) -> str:
        return side.customer.base + self.path.format(**ids)


@pytest.fixture(scope="module")
async def operations(client: httpx.AsyncClient) -> list[Operation]:
    document = (await client.get("/openapi.json")).json()
    return [
        _operation(document, method, path, about)
        for path, methods in document["paths"].items()
        for method, about in methods.items()
        if path.startswith(CUSTOMER)
    ]


@pytest.fixture(scope="module")
async def sides(
    client: httpx.AsyncClient, resources: Resources, stores: pairing.Stores
) -> tuple[Side, Side]:
    return (
        await populated(client, resources, stores),
        await populated(client, resources, stores),
    )


@RANDOM
@given(data=st.data())
async def test_neither_sees_or_changes_the_other(
    client: httpx.AsyncClient,
    resources: Resources,
    operations: list[Operation],
    sides: tuple[Side, Side],
    data: st.DataObject,
) -> None:
    me, other = data.draw(st.sampled_from([sides, sides[::-1]]), "who calls")
    before = await everything_of(resources, other)
    for _ in range(data.draw(st.integers(1, 10), "calls")):
        operation = data.draw(st.sampled_from(operations), "call")
        reply = await _call(client, operation, me, other, data)
        assert reply.status_code < 500 or reply.status_code == 501, operation.name
        told = f"{reply.text} {reply.headers}"
        assert not [secret for secret in other.hidden if secret in told], operation.name
    assert await everything_of(resources, other) == before


async def test_anothers_ids_answer_as_unknown_ones(
    client: httpx.AsyncClient, operations: list[Operation], sides: tuple[Side, Side]
) -> None:
    me, other = sides
    asked = 0
    for operation in operations:
        if not operation.parameters:
            continue
        body = _encoded(operation, operation.example)
        unknown = {**dict.fromkeys(other.ids, "f" * 32), **UNKNOWN}
        replies = [
            await client.request(
                operation.method, operation.url(me, ids), params=operation.required, **body
            )
            for ids in ({**other.ids}, unknown)
        ]
        # An upload goes to the OTA service, which is not here.
        assert_error(replies[0], 501 if operation.name == "uploadAppVersion" else 404)
        assert replies[0].content == replies[1].content, operation.name
        asked += 1
    assert asked > 35


async def _call(
    client: httpx.AsyncClient, operation: Operation, me: Side, other: Side, data: st.DataObject
) -> httpx.Response:
    # Of one's own nothing is deleted: the account keeps one of everything.
    owners = [other, me] if operation.method in ("GET", "PATCH") else [other]

    def some(name: str) -> str:
        owner = data.draw(st.sampled_from(owners), name)
        return owner.device_key if name == "device_key" else owner.ids[name]

    ids = {name: some(name) for name in operation.parameters}
    query = {
        name: some(ALSO[name]) if name in ALSO else other.mark
        for name in operation.query
        if name in (*ALSO, "search", "actor") and data.draw(st.booleans(), name)
    }
    body = operation.example
    if isinstance(body, dict):
        named = {name: some(ALSO[name]) for name in body if name in ALSO}
        body = body | {
            name: [value] if isinstance(body[name], list) else value
            for name, value in named.items()
        }
    elif operation.name == "pairDevices":
        body = f"device_key,name\n{other.device_key},Mine\n"
    return await client.request(
        operation.method,
        operation.url(me, ids),
        params=operation.required | query,
        **_encoded(operation, body),
    )


def _encoded(operation: Operation, body: Any) -> dict[str, Any]:
    if not operation.media_type:
        return {}
    content = json.dumps(body) if operation.media_type == "application/json" else body
    return {"content": content, "headers": {"Content-Type": operation.media_type}}


def _operation(document: Any, method: str, path: str, about: Any) -> Operation:
    names = {
        place: tuple(each["name"] for each in about["parameters"] if each["in"] == place)
        for place in ("path", "query")
    }
    media_type, example = next(_bodies(document, about), ("", None))
    return Operation(
        name=about["operationId"],
        method=method.upper(),
        path=path.removeprefix(CUSTOMER),
        parameters=tuple(each for each in names["path"] if each not in ("userid", "webapi_key")),
        query=names["query"],
        required={
            each["name"]: each["schema"]["examples"][0]
            for each in about["parameters"]
            if each["in"] == "query" and each["required"]
        },
        media_type=media_type,
        example=example,
    )


def _bodies(document: Any, about: Any) -> Iterator[tuple[str, Any]]:
    for media_type, content in about.get("requestBody", {"content": {}})["content"].items():
        schema = content.get("schema", {})
        name = schema.get("$ref", "").rpartition("/")[2]
        examples = document["components"]["schemas"].get(name, schema).get("examples", ["AA=="])
        yield media_type, content.get("example", examples[0])
