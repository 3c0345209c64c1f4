"""Every refusal has the ERROR body and a fitting status, whatever is asked."""

from urllib.parse import quote

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.api.logic.manufacturing import Manufactured
from tests.api.customers import Customer

UNKNOWN = "X400_" + "0" * 40
DEVICE_CALLS = [
    ("GET", ""),
    ("GET", "/status"),
    ("GET", "/stat"),
    ("POST", "/newapp/a/1.0.0"),
    ("POST", "/newfirmware/f/NOW"),
    ("POST", "/sendjson"),
]
CALLS = [
    ("GET", "/devices"),
    ("GET", "/groups"),
    ("GET", "/devices/group/g"),
    *((method, f"/devices/{UNKNOWN}{call}") for method, call in DEVICE_CALLS),
]
JSON = {"Content-Type": "application/json"}
ODD = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def assert_error(reply: httpx.Response, status: int) -> str:
    """The sentence of an ERROR body."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    body = reply.json()
    assert list(body) == ["error"]
    sentence = body["error"]
    assert isinstance(sentence, str)
    assert sentence.endswith(".")
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["referrer-policy"] == "no-referrer"
    return sentence


@pytest.mark.parametrize(("method", "call"), CALLS)
async def test_unknown_account_and_wrong_key_answer_the_same(
    client: httpx.AsyncClient, alice: Customer, bob: Customer, method: str, call: str
) -> None:
    wrong_key = await client.request(
        method, f"/api/user/{alice.user_id}/{bob.api_key}{call}", content="1", headers=JSON
    )
    unknown_user = await client.request(
        method, f"/api/user/nobody/{bob.api_key}{call}", content="1", headers=JSON
    )
    impossible_user = await client.request(
        method, f"/api/user/NO%20BODY/{bob.api_key}{call}", content="1", headers=JSON
    )
    assert_error(wrong_key, 401)
    assert wrong_key.content == unknown_user.content == impossible_user.content


@pytest.mark.parametrize(("method", "call"), DEVICE_CALLS)
async def test_another_accounts_device_answers_as_one_that_does_not_exist(
    client: httpx.AsyncClient, alice: Customer, boiler: Manufactured, method: str, call: str
) -> None:
    foreign = await client.request(
        method, f"{alice.base}/devices/{boiler.device_id}{call}", content="1", headers=JSON
    )
    unknown = await client.request(
        method, f"{alice.base}/devices/{UNKNOWN}{call}", content="1", headers=JSON
    )
    assert_error(foreign, 404)
    assert foreign.content == unknown.content
    assert _comparable(foreign) == _comparable(unknown)


@pytest.mark.parametrize(("method", "call"), DEVICE_CALLS)
async def test_malformed_device_id(
    client: httpx.AsyncClient, alice: Customer, method: str, call: str
) -> None:
    for device_id in ("x400_" + "0" * 40, UNKNOWN + "0", "X400_" + "G" * 40, "a" * 2000, "%00"):
        reply = await client.request(
            method, f"{alice.base}/devices/{device_id}{call}", content="1", headers=JSON
        )
        assert "X400_" in assert_error(reply, 400)


async def test_malformed_group_and_ota_ids(
    client: httpx.AsyncClient, alice: Customer, pump: Manufactured
) -> None:
    device = f"{alice.base}/devices/{pump.device_id}"
    assert_error(await client.get(f"{alice.base}/devices/group/a%20b"), 400)
    assert_error(await client.post(f"{device}/newapp/a%20b/1"), 400)
    assert_error(await client.post(f"{device}/newapp/a/{'1' * 65}"), 400)
    assert_error(await client.post(f"{device}/newfirmware/%3F/NOW"), 400)


async def test_unknown_paths_and_methods(client: httpx.AsyncClient, alice: Customer) -> None:
    assert_error(await client.get("/nothing"), 404)
    assert_error(await client.get(f"{alice.base}/nothing"), 404)
    assert_error(await client.get(f"{alice.base}/devices/"), 404)
    assert_error(await client.get(f"{alice.base}/devices/{UNKNOWN}/newfirmware/f/LATER"), 404)
    wrong_method = await client.delete(f"{alice.base}/devices")
    assert_error(wrong_method, 405)
    assert wrong_method.headers["allow"] == "GET, POST, HEAD"


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"NaN", "application/json", 400),
        (b"[1, -Infinity]", "application/json", 400),
        (b"'single'", "application/json", 400),
        (b'"\xff"', "application/json", 400),
        ('"text"'.encode("utf-16"), "application/json", 400),
        (b"\xef\xbb\xbf1", "application/json", 400),
        (b"[" * 4000, "application/json", 400),
        (b"1" * 4097, "application/json", 413),
        (b"1" * 1_000_000, "application/json", 413),
        (b"1", "text/plain", 415),
        (b"1", "application/jsonx", 415),
        (b"1", "", 415),
    ],
)
async def test_malformed_user_messages(
    client: httpx.AsyncClient,
    alice: Customer,
    pump: Manufactured,
    content: bytes,
    content_type: str,
    status: int,
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    url = f"{alice.base}/devices/{pump.device_id}/sendjson"
    assert_error(await client.post(url, content=content, headers=headers), status)


@ODD
@given(segments=st.lists(st.text(max_size=80), min_size=1, max_size=8), known=st.booleans())
async def test_odd_paths_are_never_our_fault(
    client: httpx.AsyncClient, alice: Customer, segments: list[str], known: bool
) -> None:
    path = "/".join(quote(one, safe="", errors="replace") for one in segments)
    url = f"{alice.base}/{path}" if known else f"/api/user/{path}"
    for method in ("GET", "POST"):
        reply = await client.request(method, url, content="1", headers=JSON)
        assert reply.status_code < 500
        if reply.status_code != 200:
            assert_error(reply, reply.status_code)


@ODD
@given(body=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
async def test_odd_bodies_are_never_our_fault(
    client: httpx.AsyncClient, alice: Customer, body: bytes
) -> None:
    # A device that does not exist: what is well-formed ends there, what is not ends earlier.
    url = f"{alice.base}/devices/{UNKNOWN}/sendjson"
    reply = await client.post(url, content=body, headers=JSON)
    assert_error(reply, reply.status_code)
    assert reply.status_code in (400, 404)


def _comparable(reply: httpx.Response) -> dict[str, str]:
    passing = ("date", "x-correlation-id", "ratelimit-remaining", "ratelimit-reset")
    return {name: value for name, value in reply.headers.items() if name not in passing}
