"""Requests that the official client would not send: signatures, malformed bodies, limits."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from email.utils import formatdate
from typing import Any, NamedTuple
from urllib.parse import quote

import aiohttp
import pytest
from azure.cosmos import exceptions
from azure.cosmos.aio import ContainerProxy, CosmosClient

from tests.emulator_cosmos.service import KEY


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Mapping[str, str]


Send = Callable[..., Awaitable[Answer]]


def sign(key: str, verb: str, kind: str, link: str, date: str) -> str:
    payload = f"{verb.lower()}\n{kind}\n{link}\n{date.lower()}\n\n".encode()
    digest = hmac.digest(base64.b64decode(key), payload, hashlib.sha256)
    return quote(f"type=master&ver=1.0&sig={base64.b64encode(digest).decode()}", safe="")


@pytest.fixture
async def send(endpoint: str, container: ContainerProxy) -> AsyncIterator[Send]:
    """Send a signed request to the container's items (or below) and read the reply."""
    link = container.container_link

    async with aiohttp.ClientSession() as session:

        async def request(
            verb: str,
            body: bytes | str | None = None,
            item: str | None = None,
            *,
            pk: str | None = '["p"]',
            kind: str = "docs",
            signed: str | None = None,
            date: str | None = None,
            **headers: str,
        ) -> Answer:
            path = f"/{link}/{kind}/" + (f"{item}/" if item else "")
            date = date or formatdate(usegmt=True)
            owner = f"{link}/{kind}/{item}" if item else link
            sent = {
                "authorization": signed or sign(KEY, verb, kind, owner, date),
                "x-ms-date": date,
                "x-ms-version": "2020-07-15",
            } | {name.replace("_", "-"): value for name, value in headers.items()}
            if pk is not None:
                sent["x-ms-documentdb-partitionkey"] = pk
            async with session.request(verb, endpoint + path, data=body, headers=sent) as reply:
                text = await reply.text()
                return Answer(reply.status, json.loads(text) if text else None, reply.headers)

        yield request


async def test_a_signed_request_is_served(send: Send) -> None:
    status, body, _ = await send("POST", b'{"id":"a","pk":"p"}')
    assert (status, body["id"]) == (201, "a")
    assert (await send("GET", item="a"))[0] == 200
    assert (await send("DELETE", item="a"))[0] == 204


async def test_reading_what_has_not_changed_brings_304_and_no_body(send: Send) -> None:
    item = await send("POST", b'{"id":"a","pk":"p"}')
    again = await send("GET", item="a", if_none_match=item.headers["etag"])
    assert (again.status, again.body) == (304, None)
    assert again.headers["etag"] == item.headers["etag"]
    assert (await send("GET", item="a", if_none_match='"older"')).status == 200


async def test_strong_reads_cost_double(send: Send) -> None:
    await send("POST", b'{"id":"a","pk":"p"}')
    for level, charge in [("Strong", 2.0), ("Session", 1.0), ("Eventual", 1.0)]:
        read = await send("GET", item="a", x_ms_consistency_level=level)
        assert float(read.headers["x-ms-request-charge"]) == charge


async def test_if_none_match_on_a_write_is_refused_not_ignored(send: Send) -> None:
    assert (await send("POST", b'{"id":"a","pk":"p"}', if_none_match="*")).status == 400


async def test_wrong_signatures_get_401_in_azures_form(send: Send) -> None:
    other = base64.b64encode(b"another key").decode()
    date = formatdate(usegmt=True)
    for signed in (
        "nonsense",
        "type%3Dmaster%26ver%3D1.0%26sig%3D",
        "type%3Dmaster%26ver%3D1.0%26sig%3D%21%21",
        "type%3Daad%26ver%3D1.0%26sig%3Dtoken",
        sign(other, "POST", "docs", "dbs/tests/colls/x", date),
        sign(KEY, "GET", "docs", "dbs/tests", date),
        sign(KEY, "POST", "docs", "dbs/tests/colls/another", date),
    ):
        status, body, _ = await send("POST", b'{"id":"a","pk":"p"}', signed=signed, date=date)
        assert status == 401
        assert body["code"] == "Unauthorized"
        assert "ActivityId" in body["message"]


async def test_a_stale_date_is_refused(send: Send) -> None:
    status, body, _ = await send(
        "GET", item="a", date=formatdate(time.time() - 16 * 60, usegmt=True)
    )
    assert (status, body["code"]) == (403, "Forbidden")
    assert (await send("GET", item="a", date="yesterday"))[0] == 401
    recent = formatdate(time.time() - 14 * 60, usegmt=True)
    assert (await send("GET", item="a", date=recent))[0] == 404


async def test_the_client_with_a_wrong_key_is_refused(endpoint: str) -> None:
    wrong = base64.b64encode(b"wrong").decode()
    with pytest.raises(exceptions.CosmosHttpResponseError) as refused:
        async with CosmosClient(endpoint, wrong) as client:
            await client.create_database("never")
    assert refused.value.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"id":1,"pk":"p"}',
        b'{"id":"","pk":"p"}',
        b'{"pk":"p"}',
        b'{"id":"a/b","pk":"p"}',
        b'{"id":"a?b","pk":"p"}',
        b'{"id":"a#b","pk":"p"}',
        b'{"id":"a\\\\b","pk":"p"}',
        b'{"id":"a ","pk":"p"}',
        b'{"id":"' + b"x" * 256 + b'","pk":"p"}',
        b'{"id":"a","pk":"other"}',
        b'{"id":"a"}',
        b'{"id":"a","pk":"p","n":NaN}',
        b'{"id":"a","pk":"p","n":1e999}',
        b'{"id":"a","pk":"p","s":"\\ud800"}',
        b'{"id":"a","pk":"p","s":"\\u0000"}',
        b"[" * 100_000,
        b'{"id":"a","pk":"p","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
async def test_what_is_no_item_gets_400(send: Send, body: bytes) -> None:
    status, reply, _ = await send("POST", body)
    assert status == 400
    assert reply["code"] == "BadRequest"
    assert (await send("GET", item="a"))[0] == 404


@pytest.mark.parametrize("pk", [None, "p", "[]", "{}", '["p","q"]', "[[1]]", '[{"a":1}]', "[1e999"])
async def test_a_wrong_partition_key_header_gets_400(send: Send, pk: str | None) -> None:
    assert (await send("POST", b'{"id":"a","pk":"p"}', pk=pk))[0] == 400


async def test_sizes_are_limited_to_2_mb(send: Send) -> None:
    def item(size: int) -> bytes:
        empty = len(b'{"id":"a","pk":"p","text":""}')
        return b'{"id":"a","pk":"p","text":"' + b"x" * (size - empty) + b'"}'

    limit = 2 * 1024 * 1024
    assert (await send("POST", item(limit + 1)))[0] == 413
    assert (await send("POST", item(6 * 1024 * 1024)))[0] == 413
    assert (await send("POST", item(limit)))[0] == 201


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x_ms_max_item_count": "none"}, 400),
        ({"x_ms_max_item_count": "0"}, 400),
        ({"x_ms_continuation": "garbage"}, 400),
        ({"x_ms_continuation": "W10="}, 400),
        ({"x_ms_consistency_level": "Perfect"}, 400),
        ({"x_ms_documentdb_partitionkeyrangeid": "7", "pk": None}, 410),
        ({"x_ms_start_epk": "zz", "pk": None}, 400),
        ({"a_im": "Full-Fidelity Feed"}, 501),
        ({"a_im": "Incremental Feed", "if_none_match": "x"}, 400),
        ({"a_im": "Incremental Feed", "if_modified_since": "x"}, 400),
        ({"x_ms_cosmos_intended_collection_rid": "other"}, 400),
        ({"x_ms_documentdb_pre_trigger_include": "t"}, 501),
    ],
)
async def test_headers_that_cannot_be_served(
    send: Send, headers: dict[str, Any], status: int
) -> None:
    assert (await send("GET", **headers))[0] == status


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"[]",
        b"{}",
        b'{"query":5}',
        b'{"query":"SELECT * FROM c","parameters":[5]}',
        b'{"query":"SELECT * FROM c","parameters":7}',
        b'{"query":"SELECT * FROM c WHERE c.x = @missing"}',
        b'{"query":"SELECT TOP -1 * FROM c"}',
        b'{"query":"SELECT * FROM c WHERE ' + b"NOT " * 20_000 + b'c.x"}',
        b'{"query":"SELECT * FROM c OFFSET 0 LIMIT 1.5"}',
    ],
)
async def test_queries_that_cannot_be_read_get_400(send: Send, query: bytes) -> None:
    status, reply, _ = await send(
        "POST", query, x_ms_documentdb_isquery="true", content_type="application/query+json"
    )
    assert (status, reply["code"]) == (400, "BadRequest")


@pytest.mark.parametrize(
    "batch", [b"{}", b"[]", b"[5]", b'[{"operationType":"Fly"}]', b'[{"operationType":"Read"}]']
)
async def test_batches_that_cannot_be_read(send: Send, batch: bytes) -> None:
    atomic = {"x_ms_cosmos_is_batch_request": "True", "x_ms_cosmos_batch_atomic": "True"}
    status, reply, _ = await send("POST", batch, **atomic)
    assert status == 400 or (status == 207 and reply[0]["statusCode"] == 400)


@pytest.mark.parametrize("kind", ["sprocs", "triggers", "udfs", "conflicts"])
async def test_what_is_not_emulated_gets_501(send: Send, kind: str) -> None:
    status, reply, _ = await send("GET", kind=kind)
    assert (status, reply["code"]) == (501, "NotImplemented")
    assert kind in reply["message"]
