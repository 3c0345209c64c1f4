"""What is asked must be what is documented; all else is refused in words that repeat nothing."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.routes.json_body import MAX_DEPTH, MAX_INTEGER, parse
from shared.errors import InvalidRequest
from tests.api.customers import Customer
from tests.api.test_api_refusals import assert_error

SECRET = "a3f5c0de" * 8

MALFORMED = [
    b"",
    b"{",
    b'{"a": 1,}',
    b"\xff",
    b"\xef\xbb\xbf{}",
    b"NaN",
    b'{"a": -Infinity}',
    b'{"a": 1, "a": 2}',
    b'{"a": [{"b": 1, "b": 1}]}',
    b'"\\u0000"',
    b'{"\\u0000": 1}',
    b'["\\ud800"]',
    b'{"\\udc00": 1}',
    b"1e999",
    b"-1e999",
    b"9007199254740992",
    b"-9007199254740992",
    b"1" * 5000,
    b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
    b"[" * 60_000,
]

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=10,
)


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_malformed_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest):
        parse(body)


@given(JSON_VALUES)
def test_json_keeps_its_value(value: Any) -> None:
    assert parse(json.dumps(value).encode()) == value
    assert parse(json.dumps(value, ensure_ascii=False, indent=1).encode()) == value


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: f"[{text}]".encode()))
def test_any_bytes_are_a_value_or_refused(body: bytes) -> None:
    try:
        parse(body)
    except InvalidRequest:
        return


def test_deep_json_within_the_limit_is_taken() -> None:
    parse(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)


@pytest.mark.parametrize(
    "query",
    [
        f"{SECRET}=1",
        f"limit=1&{SECRET}",
        f"limit=1&limit={SECRET}",
        f"search=%00{SECRET}",
        f"search=%ff{SECRET}",
        f"limit={SECRET}",
        f"limit=0&search={SECRET}",
        f"cursor={SECRET}",
    ],
)
async def test_queries_are_read_strictly(
    client: httpx.AsyncClient, alice: Customer, query: str
) -> None:
    reply = await client.get(f"{alice.base}/devices?{query}")
    assert SECRET not in assert_error(reply, 400)


@pytest.mark.parametrize(
    "number",
    ["5.0", "%2B5", "+5", "5+", "5e0", "05", "5_0", "%D9%A5", "%EF%BC%95", "0x5", "", "true"],
)
async def test_a_number_is_written_in_plain_digits(
    client: httpx.AsyncClient, alice: Customer, number: str
) -> None:
    for query in (f"devices?limit={number}", f"notifications?level={number}"):
        reply = await client.get(f"{alice.base}/{query}")
        assert "whole number in plain digits" in assert_error(reply, 400)


@pytest.mark.parametrize("value", ["1", "yes", "True", "on", ""])
async def test_a_truth_is_true_or_false(
    client: httpx.AsyncClient, alice: Customer, value: str
) -> None:
    reply = await client.post(
        f"{alice.base}/devices/import?dry_run={value}",
        content=b"device_key,name\n",
        headers={"Content-Type": "text/csv"},
    )
    assert "dry_run is 'true' or 'false'" in assert_error(reply, 400)


async def test_a_call_without_parameters_says_so(
    client: httpx.AsyncClient, alice: Customer
) -> None:
    reply = await client.get(f"{alice.base}/devices/group/g?limit=1")
    assert "it takes none" in assert_error(reply, 400)


async def test_who_calls_is_asked_first(client: httpx.AsyncClient, alice: Customer) -> None:
    reply = await client.get(f"/api/user/{alice.user_id}/wrong/devices?no=such")
    assert_error(reply, 401)


async def test_who_sends_no_key_is_told_where_it_goes(
    client: httpx.AsyncClient, alice: Customer
) -> None:
    for user_id in (alice.user_id, "nobody"):
        for headers in ({}, {"X-API-Key": ""}, {"Authorization": "Basic YTpi"}):
            reply = await client.get(f"/api/user/{user_id}/-/groups", headers=headers)
            assert "in the header X-API-Key" in assert_error(reply, 401)


async def test_overlong_requests(client: httpx.AsyncClient, alice: Customer) -> None:
    path = await client.get(f"{alice.base}/devices/{'a' * 5000}")
    assert "path" in assert_error(path, 414)
    query = await client.get(f"{alice.base}/devices?search={'a' * 20_000}")
    assert "query" in assert_error(query, 414)
    headers = {f"X-Filler-{number}": "a" * 4000 for number in range(9)}
    header = await client.get(f"{alice.base}/devices", headers=headers)
    assert "headers" in assert_error(header, 431)


async def test_a_refusal_is_short(client: httpx.AsyncClient, alice: Customer) -> None:
    for body in ({f"{number:x}": 1 for number in range(6000)}, {"a" * 60_000: 1}):
        reply = await client.patch(f"{alice.base}/account", json=body)
        assert len(assert_error(reply, 400)) < 500
    assert "company" in assert_error(
        await client.patch(f"{alice.base}/account", json={"company": 1}), 400
    )


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            {"nam": "x"},
            "body.name: is missing; body.nam: no such field; the fields are client_name,",
        ),
        ({"name": ""}, "body.name: String should have at least 1 character."),
        ({"name": "a\nb"}, "body.name: may have no control characters."),
        ({"name": "a", "email": "b"}, 'body.email: has not the form of "plant@example.com".'),
        ([], "body: should be a JSON object."),
    ],
)
async def test_what_is_wrong_is_said_in_words(
    client: httpx.AsyncClient, alice: Customer, body: object, sentence: str
) -> None:
    reply = await client.post(f"{alice.base}/groups", json=body)
    assert sentence in assert_error(reply, 400)


async def test_what_is_wrong_deep_inside_is_said_too(
    client: httpx.AsyncClient, alice: Customer
) -> None:
    url = f"{alice.base}/notifications/clear"
    unknown = await client.post(url, json={"filter": {"colour": "red"}})
    assert "the fields are device_id, group_id, level," in assert_error(unknown, 400)
    neither = await client.post(url, json={})
    assert assert_error(neither, 400).endswith(": body: give either 'ids' or 'filter'.")


@pytest.mark.parametrize("level", [True, 1.0, "1", 0, 4])
async def test_a_level_is_a_whole_number(
    client: httpx.AsyncClient, alice: Customer, level: object
) -> None:
    url = f"{alice.base}/notifications/clear"
    assert_error(await client.post(url, json={"filter": {"level": level}}), 400)


async def test_head_and_allow(client: httpx.AsyncClient, alice: Customer) -> None:
    got = await client.get(f"{alice.base}/groups")
    head = await client.head(f"{alice.base}/groups")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]
    assert_error(await client.get("/api/user/nobody/-/groups"), 401)
    refused = await client.put(f"{alice.base}/groups")
    assert_error(refused, 405)
    assert {"GET", "HEAD"} <= set(refused.headers["allow"].split(", "))
    exact = await client.options(f"{alice.base}/devices/import")  # and not /devices/{deviceid}
    assert (exact.status_code, exact.headers["allow"]) == (405, "POST")
    assert (await client.post("/docs")).headers["allow"] == "GET, HEAD"


async def test_long_replies_are_compressed(client: httpx.AsyncClient) -> None:
    plain = await client.get("/openapi.json", headers={"Accept-Encoding": "identity"})
    small = await client.get("/openapi.json", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) < len(plain.content) / 4
    assert small.json() == plain.json()
    short = await client.get("/healthz", headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in short.headers


@pytest.mark.parametrize("path", ["/openapi.json", "/docs"])
async def test_what_is_the_same_for_all_is_sent_once(client: httpx.AsyncClient, path: str) -> None:
    first = await client.get(path)
    etag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    for tags in (etag, f'"other", {etag}', etag.removeprefix("W/"), "*"):
        again = await client.get(path, headers={"If-None-Match": tags})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    other = await client.get(path, headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.content) == (200, first.content)
    head = await client.head(path)
    assert (head.content, head.headers["etag"]) == (b"", etag)
    assert head.headers["content-length"] == first.headers["content-length"]
