"""Twins: over REST, from the device, and in the stream."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.iothub import twin_document
from emulator.iothub.mqtt_packets import PingReq, PingResp, Publish, Subscribe
from tests.emulator_iothub.iothub_harness import API, PahoDevice, RawClient, Running, until

Make = Callable[..., PahoDevice]
Raw = Callable[[], Awaitable[RawClient]]
TWIN = f"/twins/gateway{API}"

keys = st.text("abc", min_size=1, max_size=2)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("xyz", max_size=2),
    lambda inner: st.dictionaries(keys, inner, max_size=3) | st.lists(inner, max_size=2),
    max_leaves=8,
)
documents = st.dictionaries(keys, values, max_size=4)


@given(documents, documents)
def test_merge_is_rfc_7396_merge_patch(old: dict[str, Any], patch: dict[str, Any]) -> None:
    def merge_patch(target: Any, change: Any) -> Any:
        if not isinstance(change, dict):
            return change
        result = dict(target) if isinstance(target, dict) else {}
        for key, value in change.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merge_patch(result.get(key), value)
        return result

    clean = twin_document.merge({}, old)
    assert twin_document.merge(clean, patch) == merge_patch(clean, patch)


@given(documents, documents)
def test_metadata_has_the_shape_of_the_values(old: dict[str, Any], patch: dict[str, Any]) -> None:
    stamp = {"$lastUpdated": "now"}

    def shape(value: Any) -> Any:
        return {k: shape(v) for k, v in value.items()} if isinstance(value, dict) else {}

    def without_stamps(metadata: dict[str, Any]) -> dict[str, Any]:
        return {k: without_stamps(v) for k, v in metadata.items() if not k.startswith("$")}

    clean = twin_document.merge({}, old)
    merged = twin_document.merge(clean, patch)
    metadata = twin_document.touch(twin_document.metadata_of(clean, stamp), patch, stamp)
    assert without_stamps(metadata) == shape(merged)


async def test_a_new_twin(running: Running) -> None:
    await running.create("gateway")
    twin = (await running.http.get(TWIN)).json()
    assert twin["deviceId"] == "gateway"
    assert twin["etag"] == "AAAAAAAAAAE="
    assert twin["version"] == 2
    assert twin["tags"] == {}
    assert twin["properties"]["desired"]["$version"] == 1
    assert twin["properties"]["reported"]["$version"] == 1


async def test_patch_and_put(running: Running) -> None:
    await running.create("gateway")
    body = {"tags": {"a": {"b": 1, "c": 2}}, "properties": {"desired": {"x": {"y": 1}, "z": 2}}}
    twin = (await running.http.patch(TWIN, json=body)).json()
    assert twin["tags"] == {"a": {"b": 1, "c": 2}}
    desired = twin["properties"]["desired"]
    assert (desired["x"], desired["z"], desired["$version"]) == ({"y": 1}, 2, 2)
    assert desired["$metadata"]["x"]["y"]["$lastUpdatedVersion"] == 2
    assert desired["$metadata"]["$lastUpdated"].endswith("Z")

    body = {"tags": {"a": {"b": None}}, "properties": {"desired": {"z": None, "x": {"q": "r"}}}}
    stale = await running.http.patch(TWIN, json=body, headers={"If-Match": '"AAAAAAAAAAE="'})
    assert stale.status_code == 412
    fresh = await running.http.patch(TWIN, json=body, headers={"If-Match": f'"{twin["etag"]}"'})
    twin = fresh.json()
    desired = twin["properties"]["desired"]
    assert twin["tags"] == {"a": {"c": 2}}
    assert (desired["x"], "z" in desired) == ({"y": 1, "q": "r"}, False)
    assert desired["$metadata"]["x"]["y"]["$lastUpdatedVersion"] == 2
    assert desired["$metadata"]["x"]["q"]["$lastUpdatedVersion"] == 3

    twin = (await running.http.put(TWIN, json={"properties": {"desired": {"only": True}}})).json()
    desired = twin["properties"]["desired"]
    assert {k for k in desired if not k.startswith("$")} == {"only"}
    assert desired["$version"] == 4
    assert twin["tags"] == {"a": {"c": 2}}
    assert running.operations("twinChangeEvents") == ["updateTwin", "updateTwin", "replaceTwin"]
    event = json.loads(running.events[2].body)
    assert event["tags"] == {"a": {"b": None}}
    assert event["properties"]["desired"]["z"] is None
    assert event["version"] == 4


def nested(depth: int) -> dict[str, Any]:
    return {"level": nested(depth - 1)} if depth else {"property": "value"}


@pytest.mark.parametrize(
    "body",
    [
        {"tags": {"a": "x" * 4097}},
        {"tags": {f"k{n}": "x" * 1000 for n in range(9)}},
        {"properties": {"desired": {f"k{n}": "x" * 4000 for n in range(9)}}},
        {"properties": {"desired": nested(11)}},
        {"properties": {"desired": {"a.b": 1}}},
        {"properties": {"desired": {"a": {"$b": 1}}}},
        {"properties": {"desired": {"a b": 1}}},
        {"properties": {"desired": {"a": 2**52}}},
        {"properties": {"desired": [1]}},
        {"properties": []},
        [],
    ],
)
async def test_limits(running: Running, body: Any) -> None:
    await running.create("gateway")
    before = (await running.http.get(TWIN)).json()
    response = await running.http.patch(TWIN, json=body)
    assert response.status_code == 400
    assert (await running.http.get(TWIN)).json() == before


@pytest.mark.parametrize("text", [b"", b"{", b'{"tags":{"a":NaN}}', b'{"tags":{"a":"\\ud800"}}'])
async def test_what_is_not_json(running: Running, text: bytes) -> None:
    await running.create("gateway")
    assert (await running.http.patch(TWIN, content=text)).status_code == 400


async def test_the_deepest_twin_passes(running: Running) -> None:
    await running.create("gateway")
    response = await running.http.patch(TWIN, json={"properties": {"desired": nested(10)}})
    assert response.status_code == 200


async def test_the_device_side(running: Running, paho_device: Make) -> None:
    await running.create("gateway")
    await running.http.patch(TWIN, json={"tags": {"secret": 1}})
    device = paho_device()
    await device.connect()
    await device.subscribe("$iothub/twin/res/#", 0)
    await device.subscribe("$iothub/twin/PATCH/properties/desired/#", 0)

    device.client.publish(
        "$iothub/twin/PATCH/properties/reported/?$rid=one", b'{"fwversion":"1.2"}'
    )
    answer = await device.message()
    assert answer.topic == "$iothub/twin/res/204/?$rid=one&$version=2"
    assert answer.payload == b""
    change = running.events[-1]
    assert change.source == "twinChangeEvents"
    assert change.annotations["iothub-connection-device-id"] == "gateway"
    assert change.application_properties["iothub-message-schema"] == "twinChangeNotification"
    assert json.loads(change.body)["properties"]["reported"]["fwversion"] == "1.2"

    device.client.publish("$iothub/twin/GET/?$rid=two", b"")
    answer = await device.message()
    assert answer.topic == "$iothub/twin/res/200/?$rid=two"
    twin = json.loads(answer.payload)
    assert twin["reported"] == {"fwversion": "1.2", "$version": 2}
    assert twin["desired"] == {"$version": 1}
    assert "tags" not in twin

    await running.http.patch(TWIN, json={"properties": {"desired": {"a": 1, "b": None}}})
    patch = await device.message()
    assert patch.topic == "$iothub/twin/PATCH/properties/desired/?$version=2"
    assert json.loads(patch.payload) == {"a": 1, "b": None, "$version": 2}
    await running.http.patch(TWIN, json={"tags": {"more": 1}})
    with pytest.raises(pytest.fail.Exception):
        await device.message(0.2)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff", b'{"a":"%s"}' % (b"x" * 4097)])
async def test_bad_reports_are_answered(running: Running, raw: Raw, body: bytes) -> None:
    await running.create("gateway")
    client = await raw()
    await client.connect()
    await client.write(Subscribe(1, (("$iothub/twin/res/#", 0),)))
    await client.read()
    await client.write(Publish("$iothub/twin/PATCH/properties/reported/?$rid=9", body))
    answer = await client.read()
    assert isinstance(answer, Publish)
    assert answer.topic == "$iothub/twin/res/400/?$rid=9"
    assert json.loads(answer.payload)["message"]
    await client.write(PingReq())
    assert await client.read() == PingResp()
    assert running.operations("twinChangeEvents") == []


async def test_reports_do_not_disturb_the_services_etag(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    twin = (await running.http.get(TWIN)).json()
    client = await raw()
    await client.connect()
    await client.write(Publish("$iothub/twin/PATCH/properties/reported/?$rid=9", b'{"a":1}'))
    await until(lambda: running.operations("twinChangeEvents"))
    response = await running.http.patch(
        TWIN, json={"tags": {"a": 1}}, headers={"If-Match": f'"{twin["etag"]}"'}
    )
    assert response.status_code == 200
    assert response.json()["version"] == 4
