"""The identity registry over REST."""

import base64

import pytest

from tests.emulator_iothub.iothub_harness import (
    API,
    DEVICE_KEY,
    HOST,
    HUB_KEY,
    Running,
    service_sas,
)
from tests.sas import sign


def authorization(token: str) -> dict[str, str]:
    return {"Authorization": token}


async def test_create_generates_keys(running: Running) -> None:
    response = await running.http.put(f"/devices/gateway{API}", json={"deviceId": "gateway"})
    identity = response.json()
    keys = identity["authentication"]["symmetricKey"]
    assert len(base64.b64decode(keys["primaryKey"])) == 32
    assert keys["primaryKey"] != keys["secondaryKey"]
    assert identity["status"] == "enabled"
    assert identity["connectionState"] == "Disconnected"
    assert identity["cloudToDeviceMessageCount"] == 0
    assert identity["lastActivityTime"] == "0001-01-01T00:00:00Z"
    assert response.headers["ETag"] == f'"{identity["etag"]}"'
    assert (await running.http.get(f"/devices/gateway{API}")).json() == identity
    assert running.operations("deviceLifecycleEvents") == ["createDeviceIdentity"]


async def test_create_twice_conflicts(running: Running) -> None:
    await running.create("gateway")
    response = await running.http.put(f"/devices/gateway{API}", json={})
    assert response.status_code == 409
    assert response.json()["Message"].startswith("ErrorCode:DeviceAlreadyExists;")
    assert response.headers["iothub-errorcode"] == "DeviceAlreadyExists"


async def test_update_needs_the_etag(running: Running) -> None:
    await running.create("gateway")
    old = (await running.http.get(f"/devices/gateway{API}")).json()
    path, body = f"/devices/gateway{API}", {"status": "disabled", "statusReason": "stolen"}
    wrong = await running.http.put(path, json=body, headers={"If-Match": '"AAAA"'})
    assert wrong.status_code == 412
    right = await running.http.put(path, json=body, headers={"If-Match": f'"{old["etag"]}"'})
    new = right.json()
    assert (new["status"], new["statusReason"]) == ("disabled", "stolen")
    assert new["etag"] != old["etag"]
    assert new["generationId"] == old["generationId"]
    assert new["authentication"] == old["authentication"]
    assert new["statusUpdatedTime"] > old["statusUpdatedTime"]
    missing = await running.http.put(f"/devices/nobody{API}", json=body, headers={"If-Match": "*"})
    assert missing.status_code == 404


async def test_delete(running: Running) -> None:
    await running.create("gateway")
    path = f"/devices/gateway{API}"
    assert (await running.http.delete(path, headers={"If-Match": '"AA"'})).status_code == 412
    assert (await running.http.delete(path, headers={"If-Match": "*"})).status_code == 204
    assert (await running.http.get(path)).status_code == 404
    assert (await running.http.get(f"/twins/gateway{API}")).status_code == 404
    assert (
        (await running.http.delete(path)).json()["Message"].startswith("ErrorCode:DeviceNotFound;")
    )
    operations = running.operations("deviceLifecycleEvents")
    assert operations == ["createDeviceIdentity", "deleteDeviceIdentity"]


@pytest.mark.parametrize(
    ("device_id", "body", "status"),
    [
        ("a" * 129, {}, 400),
        ("white space", {}, 400),
        ("gateway", {"deviceId": "other"}, 400),
        ("gateway", {"status": "asleep"}, 400),
        ("gateway", [], 400),
        ("gateway", {"authentication": {"symmetricKey": {"primaryKey": DEVICE_KEY}}}, 400),
        (
            "gateway",
            {"authentication": {"symmetricKey": {"primaryKey": "!", "secondaryKey": "!"}}},
            400,
        ),
        ("gateway", {"authentication": {"type": "selfSigned"}}, 501),
        ("gateway", {"capabilities": {"iotEdge": True}}, 501),
    ],
)
async def test_create_is_refused(
    running: Running, device_id: str, body: object, status: int
) -> None:
    response = await running.http.put(f"/devices/{device_id}{API}", json=body)
    assert response.status_code == status
    assert response.json()["Message"].startswith("ErrorCode:")
    assert running.events == []


async def test_list_and_statistics(running: Running) -> None:
    for name in ("c", "a", "b"):
        await running.create(name)
    listed = (await running.http.get(f"/devices{API}&top=2")).json()
    assert [device["deviceId"] for device in listed] == ["a", "b"]
    assert len((await running.http.get(f"/devices{API}")).json()) == 3
    counts = (await running.http.get(f"/statistics/devices{API}")).json()
    assert counts == {"totalDeviceCount": 3, "enabledDeviceCount": 3, "disabledDeviceCount": 0}
    service = (await running.http.get(f"/statistics/service{API}")).json()
    assert service == {"connectedDeviceCount": 0}


async def test_bulk(running: Running) -> None:
    entries = [
        {
            "id": f"gateway{n}",
            "importMode": "create",
            "status": "enabled",
            "tags": {"name": f"number {n}"},
        }
        for n in range(100)
    ]
    response = await running.http.post(f"/devices{API}", json=entries)
    assert response.status_code == 200
    assert response.json()["isSuccessful"] is True
    assert (await running.http.get(f"/twins/gateway7{API}")).json()["tags"] == {"name": "number 7"}

    mixed = [
        {"id": "gateway1", "importMode": "create"},
        {"id": "gateway2", "importMode": "delete"},
        {"id": "gateway3", "importMode": "update", "status": "disabled"},
        {"id": "gateway4", "importMode": "updateTwin"},
        {"id": "gateway5", "importMode": "updateIfMatchETag", "status": "disabled"},
        {"id": "gateway6", "importMode": "deleteIfMatchETag", "eTag": 5},
    ]
    response = await running.http.post(f"/devices{API}", json=mixed)
    assert response.status_code == 400
    codes = {error["deviceId"]: error["errorCode"] for error in response.json()["errors"]}
    assert codes == {
        "gateway1": "DeviceAlreadyExists",
        "gateway4": "NotImplemented",
        "gateway5": "ArgumentInvalid",
        "gateway6": "ArgumentInvalid",
    }
    assert (await running.http.get(f"/devices/gateway2{API}")).status_code == 404
    assert (await running.http.get(f"/devices/gateway3{API}")).json()["status"] == "disabled"

    bodies: list[object] = [entries + mixed, [mixed[0], mixed[0]], {}, [{}]]
    for refused in bodies:
        assert (await running.http.post(f"/devices{API}", json=refused)).status_code == 400


@pytest.mark.parametrize(
    "token",
    [
        "",
        sign(HOST, HUB_KEY, rule="iothubowner", ttl=-1),
        sign(HOST, b"wrong", rule="iothubowner"),
        sign(HOST, HUB_KEY, rule="other"),
        sign(HOST, HUB_KEY),
        sign("elsewhere", HUB_KEY, rule="iothubowner"),
        sign(f"{HOST}/twins", HUB_KEY, rule="iothubowner"),
    ],
    # Tokens differ from second to second, and so would the tests' names between workers.
    ids=["none", "expired", "wrong key", "other rule", "no rule", "other hub", "narrower"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/devices/gateway"),
        ("PUT", "/devices/gateway"),
        ("POST", "/devices/query"),
        ("GET", "/statistics/devices"),
        ("GET", "/messages/serviceBound/feedback"),
        ("GET", "/jobs/v2"),
    ],
)
async def test_unauthorized(running: Running, method: str, path: str, token: str) -> None:
    response = await running.http.request(method, path + API, headers=authorization(token))
    assert response.status_code == 401
    assert response.json()["Message"] == "ErrorCode:IotHubUnauthorizedAccess;Unauthorized"
    assert response.json()["ExceptionMessage"].startswith("Tracking ID:")


async def test_a_token_for_the_port_opens_the_host(running: Running) -> None:
    token = sign(f"{HOST}:8443", HUB_KEY, rule="iothubowner")
    response = await running.http.get(f"/devices{API}", headers=authorization(token))
    assert response.status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/v2/query"),
        ("GET", "/configurations"),
        ("GET", "/devices/gateway/modules"),
        ("POST", "/devices/gateway/messages/events"),
        ("GET", "/digitaltwins/gateway"),
        ("DELETE", "/twins/gateway"),
    ],
)
async def test_what_is_not_emulated_says_so(running: Running, method: str, path: str) -> None:
    response = await running.http.request(method, path + API)
    assert response.status_code == 501
    assert response.json()["Message"].startswith("ErrorCode:NotImplemented;")


async def test_the_api_version_is_needed(running: Running) -> None:
    response = await running.http.get("/devices", headers=authorization(service_sas()))
    assert response.status_code == 400


async def test_a_body_that_is_too_large(running: Running) -> None:
    response = await running.http.put(f"/devices/gateway{API}", content=bytes(2 << 20))
    assert response.status_code == 413
    assert response.json()["Message"].startswith("ErrorCode:RequestEntityTooLarge;")
