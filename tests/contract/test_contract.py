"""The contract's nine calls, as any client of the vendor's knows them (rest-contract.md)."""

from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from tests.contract.deployment import Deployment
from tests.contract.entities import (
    DEVICE,
    DEVICEST,
    DEVICESTATS,
    DEVICESTATUS,
    ERROR,
    GROUP,
    RESULT,
    Check,
    assert_entity,
)

NO_DEVICE = "X400_" + "0" * 40
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="package")
async def devices(http: httpx.AsyncClient, deployment: Deployment) -> list[Any]:
    """All DEVICESTs of the account."""
    reply = await http.get(f"{deployment.path}/devices")
    listed: list[Any] = value_of(reply)
    assert isinstance(listed, list)
    return listed


@pytest.fixture
def device_path(devices: list[Any], deployment: Deployment) -> str:
    """A device of the account."""
    if not devices:
        pytest.skip("the account has no device; pair one")
    return f"{deployment.path}/devices/{devices[0]['device']['device_id']}"


@pytest.fixture
def writing(deployment: Deployment) -> None:
    """Nothing is ordered of a stranger's devices unasked."""
    if not deployment.write:
        pytest.skip("orders are tried with WRITE=1 only")


def value_of(reply: httpx.Response) -> Any:
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


def assert_refused(reply: httpx.Response, *statuses: int) -> None:
    assert reply.status_code in statuses, f"{reply.status_code} instead of {statuses}"
    assert reply.headers["content-type"] == "application/json"
    assert_entity(reply.json(), ERROR)


def assert_all(values: Any, entity: Mapping[str, Check]) -> None:
    assert isinstance(values, list)
    for value in values:
        assert_entity(value, entity)


async def test_all_devices(devices: list[Any], deployment: Deployment) -> None:
    assert_all(devices, DEVICEST)
    assert {each["device"]["user_id"] for each in devices} <= {deployment.user_id}
    ids = [each["device"]["device_id"] for each in devices]
    assert len(ids) == len(set(ids))


async def test_one_device(http: httpx.AsyncClient, device_path: str) -> None:
    found = value_of(await http.get(device_path))
    assert_all(found, DEVICEST)
    assert [each["device"]["device_id"] for each in found] == [device_path.rpartition("/")[2]]


async def test_connection_status(http: httpx.AsyncClient, device_path: str) -> None:
    assert_entity(value_of(await http.get(f"{device_path}/status")), DEVICESTATUS)


async def test_statistics(http: httpx.AsyncClient, device_path: str) -> None:
    stats = value_of(await http.get(f"{device_path}/stat"))
    assert_entity(stats, DEVICESTATS)
    assert stats["stat_of_device_id"] == device_path.rpartition("/")[2]
    days = ["current", *map(str, range(1, 8))]
    for unit in ("msg", "bytes"):
        assert stats[f"{unit}_tot"] >= sum(stats[f"{unit}_{day}"] for day in days)


async def test_groups_and_their_devices(
    http: httpx.AsyncClient, deployment: Deployment, devices: list[Any]
) -> None:
    groups = value_of(await http.get(f"{deployment.path}/groups"))
    assert_all(groups, GROUP)
    assert {each["group_of_user_id"] for each in groups} <= {deployment.user_id}
    for group in groups[:20]:
        members = value_of(await http.get(f"{deployment.path}/devices/group/{group['id']}"))
        assert_all(members, DEVICE)
        expected = {
            each["device"]["device_id"]
            for each in devices
            if each["device"]["group_id"] == group["id"]
        }
        assert {each["device_id"] for each in members} == expected


async def test_the_key_in_a_header_gets_the_same(
    http: httpx.AsyncClient, deployment: Deployment
) -> None:
    header = {"X-API-Key": deployment.api_key}
    in_header = await http.get(f"/api/user/{deployment.user_id}/-/groups", headers=header)
    in_path = await http.get(f"{deployment.path}/groups")
    assert in_header.status_code == 200
    assert in_header.content == in_path.content
    assert_refused(await http.get(f"/api/user/{deployment.user_id}/-/groups"), 401)


@pytest.mark.parametrize(
    "call", ["/devices", "/groups", f"/devices/{NO_DEVICE}", f"/devices/{NO_DEVICE}/stat"]
)
async def test_a_wrong_key_and_an_unknown_account_answer_the_same(
    http: httpx.AsyncClient, deployment: Deployment, call: str
) -> None:
    wrong = "0" * 64
    wrong_key = await http.get(f"/api/user/{deployment.user_id}/{wrong}{call}")
    unknown = await http.get(f"/api/user/nobody-of-this-name/{wrong}{call}")
    assert_refused(wrong_key, 401)
    assert wrong_key.content == unknown.content


async def test_what_does_not_exist(http: httpx.AsyncClient, deployment: Deployment) -> None:
    for call in ("", "/status", "/stat"):
        assert_refused(await http.get(f"{deployment.path}/devices/{NO_DEVICE}{call}"), 404)
    assert_refused(await http.get(f"{deployment.path}/devices/group/no-such-group"), 404)
    assert_refused(await http.get(f"{deployment.path}/devices/{'x' * 45}"), 400, 404)
    assert_refused(await http.get(f"{deployment.path}/no-such-call"), 404)


@pytest.mark.usefixtures("writing")
@pytest.mark.parametrize("body", ['"a bare string"', "21.5", "null", "[]", '{"setpoint": 21.5}'])
async def test_any_json_value_is_sent(http: httpx.AsyncClient, device_path: str, body: str) -> None:
    reply = await http.post(f"{device_path}/sendjson", content=body, headers=JSON)
    assert_entity(value_of(reply), RESULT)


@pytest.mark.usefixtures("writing")
async def test_what_is_no_user_message(http: httpx.AsyncClient, device_path: str) -> None:
    url = f"{device_path}/sendjson"
    assert_refused(await http.post(url, content="{", headers=JSON), 400)
    assert_refused(await http.post(url, content="1" * 4097, headers=JSON), 413)
    assert_refused(await http.post(url, content="1", headers={"Content-Type": "text/plain"}), 415)


@pytest.mark.usefixtures("writing")
@pytest.mark.parametrize("order", ["newapp/no-such-app/no-such-version", "newfirmware/no-such/NOW"])
async def test_orders_of_what_does_not_exist(
    http: httpx.AsyncClient, deployment: Deployment, device_path: str, order: str
) -> None:
    # 501: an installation without the OTA service.
    assert_refused(await http.post(f"{device_path}/{order}"), 404, 501)
    nobodys = f"{deployment.path}/devices/{NO_DEVICE}"
    assert_refused(await http.post(f"{nobodys}/{order}"), 404)
    assert_refused(await http.post(f"{nobodys}/sendjson", content="1", headers=JSON), 404)
