"""Direct methods, from REST to a device and back."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest

from emulator.iothub.errors import HubError
from emulator.iothub.methods import MethodCall
from emulator.iothub.mqtt_packets import Packet, Publish, Subscribe
from tests.emulator_iothub.iothub_harness import API, PahoDevice, RawClient, Running

Make = Callable[..., PahoDevice]
Raw = Callable[[], Awaitable[RawClient]]
METHODS = f"/twins/gateway/methods{API}"


def call(running: Running, **body: Any) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(running.http.post(METHODS, json={"methodName": "reboot", **body}))


def numbered(response: httpx.Response) -> int:
    """The number inside the nested JSON of IoT Hub's numbered errors."""
    return int(json.loads(response.json()["Message"])["errorCode"])


async def subscribed(raw: Raw) -> RawClient:
    client = await raw()
    await client.connect()
    await client.write(Subscribe(1, (("$iothub/methods/POST/#", 0),)))
    await client.read()
    return client


def request_id(packet: Packet | None) -> str:
    assert isinstance(packet, Publish)
    name, _, rid = packet.topic.partition("/?$rid=")
    assert name == "$iothub/methods/POST/reboot"
    return rid


async def test_a_call_and_its_answer(running: Running, paho_device: Make) -> None:
    await running.create("gateway")
    device = paho_device()
    await device.connect()
    await device.subscribe("$iothub/methods/POST/#", 0)
    answer = call(running, payload={"delay": 5})
    request = await device.message()
    assert json.loads(request.payload) == {"delay": 5}
    rid = request.topic.partition("$rid=")[2]
    device.client.publish(f"$iothub/methods/res/202/?$rid={rid}", b'{"done":true}')
    response = await answer
    assert response.status_code == 200
    assert response.json() == {"status": 202, "payload": {"done": True}}


async def test_an_empty_answer(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await subscribed(raw)
    answer = call(running)
    rid = request_id(await client.read())
    await client.write(Publish("$iothub/methods/res/200/?$rid=unknown", b"1"))
    await client.write(Publish(f"$iothub/methods/res/-1/?$rid={rid}", b""))
    assert (await answer).json() == {"status": -1, "payload": None}


async def test_a_device_that_is_not_online(running: Running, raw: Raw) -> None:
    assert (await running.http.post(METHODS, json={"methodName": "a"})).status_code == 404
    await running.create("gateway")
    client = await raw()
    await client.connect()
    response = await call(running)
    assert response.status_code == 404
    assert numbered(response) == 404103
    assert response.headers["iothub-errorcode"] == "DeviceNotOnline"


async def test_waiting_for_a_device_to_connect(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    answer = call(running, connectTimeoutInSeconds=10)
    await asyncio.sleep(0.1)
    client = await subscribed(raw)
    rid = request_id(await client.read())
    await client.write(Publish(f"$iothub/methods/res/200/?$rid={rid}", b"[1]"))
    assert (await answer).json() == {"status": 200, "payload": [1]}
    client.close()


async def test_a_device_that_goes_away(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await subscribed(raw)
    answer = call(running)
    await client.read()
    client.close()
    response = await answer
    assert response.status_code == 404
    assert numbered(response) == 404104


async def test_a_device_that_does_not_answer(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    await subscribed(raw)
    quick = MethodCall("reboot", b"null", connect_timeout=0, response_timeout=0.1)
    with pytest.raises(HubError) as late:
        await running.hub.methods.invoke("gateway", quick)
    assert (late.value.status, late.value.number) == (504, 504101)


async def test_an_answer_that_is_not_json(running: Running, raw: Raw) -> None:
    await running.create("gateway")
    client = await subscribed(raw)
    answer = call(running)
    rid = request_id(await client.read())
    await client.write(Publish(f"$iothub/methods/res/200/?$rid={rid}", b"\xff"))
    assert (await answer).status_code == 502


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"methodName": ""}, 400),
        ({"methodName": "a b"}, 400),
        ({"methodName": "a/b"}, 400),
        ({"methodName": 7}, 400),
        ({"methodName": "a", "responseTimeoutInSeconds": 4}, 400),
        ({"methodName": "a", "responseTimeoutInSeconds": "30"}, 400),
        ({"methodName": "a", "connectTimeoutInSeconds": 301}, 400),
        ({"methodName": "a", "payload": "x" * 131072}, 413),
        ([], 400),
    ],
)
async def test_calls_that_are_refused(running: Running, body: Any, status: int) -> None:
    await running.create("gateway")
    assert (await running.http.post(METHODS, json=body)).status_code == status
