"""Settings and properties of a device, and its reboot, against the local IoT Hub."""

import asyncio
import string
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.api.logic import pairing
from services.api.logic.manufacturing import Manufactured
from services.api.logic.settings_patch import merged
from services.api.logic.unpairing import unpair
from services.api.resources import Resources
from stack.local import LocalStack
from tests.api.customers import Customer, new_customer, new_gateway, pairing_request
from tests.api.mqtt_gateway import connected
from tests.known_secrets import keep

UNKNOWN = "X400_" + "0" * 40


async def paired(stores: pairing.Stores, customer: Customer) -> str:
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(customer, gateway, "Valve"))
    return gateway.device_id


@pytest.fixture(scope="module")
async def valve(stores: pairing.Stores, alice: Customer) -> str:
    return await paired(stores, alice)


def url(customer: Customer, device_id: str, call: str = "settings") -> str:
    return f"{customer.base}/devices/{device_id}/{call}"


async def test_settings_are_merged_and_versioned(
    client: httpx.AsyncClient, resources: Resources, stores: pairing.Stores, alice: Customer
) -> None:
    device_id = await paired(stores, alice)
    empty = await client.get(url(alice, device_id))
    assert empty.json() == {"device_id": device_id, "settings": {}}
    body = {"interval_s": 60, "alarm": {"low": 2.5, "high": 8}, "names": ["a", "b"]}
    first = await client.patch(url(alice, device_id), json=body)
    assert (first.status_code, first.json()["settings"]) == (200, body)
    assert first.headers["etag"] != empty.headers["etag"]
    second = await client.patch(
        url(alice, device_id),
        json={"alarm": {"low": None, "high": 9}, "names": ["c"]},
        headers={"If-Match": first.headers["etag"]},
    )
    wanted = {"interval_s": 60, "alarm": {"high": 9}, "names": ["c"]}
    assert second.json()["settings"] == wanted
    late = await client.patch(
        url(alice, device_id), json={"interval_s": 1}, headers={"If-Match": first.headers["etag"]}
    )
    assert late.status_code == 412
    read = await client.get(url(alice, device_id))
    assert read.json()["settings"] == wanted
    assert read.headers["etag"] == second.headers["etag"]
    twin = await resources.hub.get_twin(device_id)
    assert twin.desired["settings"] == wanted
    assert "wipe" in twin.desired


async def test_true_is_not_one(
    client: httpx.AsyncClient, resources: Resources, alice: Customer, valve: str
) -> None:
    for value in (1, True, 1.5, False, 0):
        await client.patch(url(alice, valve), json={"value": value})
        found = (await resources.hub.get_twin(valve)).desired["settings"]["value"]
        assert (type(found), found) == (type(value), value)


async def test_changes_at_the_same_time_are_all_made(
    client: httpx.AsyncClient, alice: Customer, valve: str
) -> None:
    replies = await asyncio.gather(
        *(client.patch(url(alice, valve), json={f"at_once_{n}": n}) for n in range(4))
    )
    assert {each.status_code for each in replies} == {200}
    found = (await client.get(url(alice, valve))).json()["settings"]
    assert {f"at_once_{n}" for n in range(4)} <= found.keys()


async def test_the_next_owner_sees_no_settings_and_a_former_owner_writes_none(
    client: httpx.AsyncClient,
    resources: Resources,
    stores: pairing.Stores,
    alice: Customer,
    bob: Customer,
) -> None:
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, gateway, "Valve"))
    await client.patch(url(alice, gateway.device_id), json={"secret": "alice's"})
    await unpair(stores, alice.user_id, gateway.device_id)
    gone = await client.patch(url(alice, gateway.device_id), json={"secret": "again"})
    assert gone.status_code == 404
    await pairing.pair(stores, pairing_request(bob, gateway, "Valve"))
    assert (await client.get(url(bob, gateway.device_id))).json()["settings"] == {}
    assert "settings" not in (await resources.hub.get_twin(gateway.device_id)).desired


async def test_settings_survive_a_pairing_that_is_completed_again(
    client: httpx.AsyncClient, stores: pairing.Stores, alice: Customer
) -> None:
    gateway = await new_gateway(stores)
    request = pairing_request(alice, gateway, "Valve")
    paired = await pairing.pair(stores, request)
    await client.patch(url(alice, gateway.device_id), json={"kept": 1})
    found = await stores.devices.get_with_etag(alice.user_id, gateway.device_id)
    assert found
    interrupted = paired.device.model_copy(update={"phase": "pairing"})
    assert await stores.devices.put(interrupted, found[1])
    await pairing.pair(stores, request)
    assert (await client.get(url(alice, gateway.device_id))).json()["settings"] == {"kept": 1}


NAMES = st.text(st.sampled_from(string.ascii_letters + "é_-/ü日"), min_size=1, max_size=3)
SCALARS = (
    st.booleans()
    | st.integers(-(2**52) + 1, 2**52 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=2)
)
PATCHES = st.dictionaries(
    NAMES, VALUES | st.none() | st.dictionaries(NAMES, st.none() | SCALARS, max_size=2), max_size=3
)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(patch=PATCHES)
async def test_what_the_hub_has_is_what_was_answered_for_any_patch(
    client: httpx.AsyncClient, resources: Resources, alice: Customer, valve: str, patch: Any
) -> None:
    before = (await client.get(url(alice, valve))).json()["settings"]
    reply = await client.patch(url(alice, valve), json=patch)
    if reply.status_code == 400:
        assert "deep" in reply.text or "bytes" in reply.text
        return
    assert reply.json()["settings"] == merged(before, patch)
    found = (await resources.hub.get_twin(valve)).desired.get("settings", {})
    assert found == merged(before, patch)


def nested(depth: int) -> object:
    return 1 if depth == 0 else {"a": nested(depth - 1)}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"a.b": 1}, 400),
        ({"$a": 1}, 400),
        ({"a b": 1}, 400),
        ({"": 1}, 400),
        ({"a\u0001": 1}, 400),
        ({"a\u0085": 1}, 400),
        ({"k" * 1025: 1}, 400),
        ({"a": "x" * 4097}, 400),
        ({"a": "x" * 4000, "b": "x" * 4000, "c": "x" * 200}, 400),
        ({"a": [1, None]}, 400),
        ({"a": 2**52}, 400),
        ({"a": nested(5)}, 400),
        ({"a": [[[[[1]]]]]}, 400),
        ({"a": nested(4)}, 200),
        ([], 400),
        ("text", 400),
    ],
)
async def test_what_a_twin_does_not_take(
    client: httpx.AsyncClient,
    stores: pairing.Stores,
    alice: Customer,
    valve: str,
    body: object,
    status: int,
) -> None:
    reply = await client.patch(url(alice, valve), json=body)
    assert reply.status_code == status, reply.text
    if status != 200:
        assert list(reply.json()) == ["error"]
    await client.patch(url(alice, valve), json={"a": None})


async def test_properties_with_their_times(
    client: httpx.AsyncClient, stack: LocalStack, stores: pairing.Stores, alice: Customer
) -> None:
    gateway = await new_gateway(stores)
    port = stack.settings.mqtt_port
    async with connected(gateway.device_connection_string, stack.settings.bind, port) as one:
        one.report({"fwversion": "2.1.0", "ota_app": {"job": "a former owner's"}})
        await _until_reported(stores, gateway, "ota_app")
        await pairing.pair(stores, pairing_request(alice, gateway, "Valve"))
        one.report({"ota_firmware": {"job": "alice's", "percent": 25}})
        await _until_reported(stores, gateway, "ota_firmware")
    reply = await client.get(url(alice, gateway.device_id, "properties"))
    found = reply.json()
    assert found["device_id"] == gateway.device_id
    values = {each["name"]: each["value"] for each in found["properties"]}
    assert values["fwversion"] == "2.1.0"
    assert values["ota_firmware"] == {"job": "alice's", "percent": 25}
    assert "ota_app" not in values
    assert all(each["updated_at"].endswith("Z") for each in found["properties"])


async def _until_reported(stores: pairing.Stores, gateway: Manufactured, name: str) -> None:
    for _ in range(200):
        if name in (await stores.hub.get_twin(gateway.device_id)).reported:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError(name)


async def test_reboot(
    client: httpx.AsyncClient, stack: LocalStack, stores: pairing.Stores, alice: Customer
) -> None:
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, gateway, "Valve"))
    offline = await client.post(url(alice, gateway.device_id, "reboot"))
    assert offline.status_code == 409
    port = stack.settings.mqtt_port
    async with connected(gateway.device_connection_string, stack.settings.bind, port) as one:
        reply = await client.post(url(alice, gateway.device_id, "reboot"))
        assert (reply.status_code, reply.json()) == (200, {"result": "rebooting"})
        assert await one.method() == ("reboot", {})


CALLS = [
    ("GET", "settings"),
    ("PATCH", "settings"),
    ("GET", "properties"),
    ("POST", "reboot"),
    ("GET", "timeline"),
]


@pytest.mark.parametrize(("method", "call"), CALLS)
async def test_another_accounts_device_and_wrong_callers(
    client: httpx.AsyncClient,
    alice: Customer,
    bob: Customer,
    boiler: Manufactured,
    method: str,
    call: str,
) -> None:
    body: object = {} if method == "PATCH" else None
    foreign = await client.request(method, url(alice, boiler.device_id, call), json=body)
    unknown = await client.request(method, url(alice, UNKNOWN, call), json=body)
    assert foreign.status_code == unknown.status_code == 404
    assert foreign.content == unknown.content
    malformed = await client.request(method, url(alice, "X400_x", call), json=body)
    assert malformed.status_code == 400
    wrong_key = f"/api/user/{alice.user_id}/{bob.api_key}/devices/{UNKNOWN}/{call}"
    assert (await client.request(method, wrong_key, json=body)).status_code == 401


@pytest.mark.parametrize(("method", "call"), [("PATCH", "settings"), ("POST", "reboot")])
async def test_a_key_that_reads_changes_nothing(
    client: httpx.AsyncClient, alice: Customer, valve: str, method: str, call: str
) -> None:
    made = await client.post(f"{alice.base}/account/keys", json={"name": call, "scopes": ["read"]})
    reader = replace(alice, api_key=made.json()["api_key"])
    keep(reader.api_key)
    assert (await client.get(url(reader, valve))).status_code == 200
    body: object = {"a": 1} if method == "PATCH" else None
    refused = await client.request(method, url(reader, valve, call), json=body)
    assert refused.status_code == 403
    assert "'write'" in refused.json()["error"]


async def test_what_people_do_with_a_device_is_in_its_timeline(
    client: httpx.AsyncClient, stores: pairing.Stores, alice: Customer
) -> None:
    device_id = await paired(stores, alice)
    assert (await client.patch(url(alice, device_id), json={"a": 1})).status_code == 200
    assert (await client.patch(url(alice, device_id), json={"a.b": 1})).status_code == 400
    found = (await client.get(url(alice, device_id, "timeline"))).json()["items"]
    assert [each["event"] for each in found] == ["settings_changed"]
    assert found[0]["detail"]


async def test_a_gateway_without_identity(
    client: httpx.AsyncClient, resources: Resources, stores: pairing.Stores
) -> None:
    erin = await new_customer(resources)
    device_id = await paired(stores, erin)
    await stores.hub.delete_device(device_id)
    for method, call in CALLS[:4]:
        body = {"a": 1} if method == "PATCH" else None
        reply = await client.request(method, url(erin, device_id, call), json=body)
        assert reply.status_code == 409, reply.text
        assert "operator" in reply.json()["error"]
