"""Apps, their versions, firmware and the orders to install them, with and without an OTA service.

The service is a real server in this process; the api is a process of its own that is told of it.
"""

import asyncio
import hashlib
import os
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from starlette.responses import JSONResponse, Response

from services.api.logic.keys import make_key
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources
from services.api.store.ota import open_ota
from shared.errors import Unavailable
from shared.logs import correlation_id
from shared.schemas.accounts import Scope
from shared.schemas.artifacts import FirmwareDocument
from shared.schemas.jobs import JobState
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.api.test_api_refusals import UNKNOWN, assert_error
from tests.free_ports import free_ports
from tests.known_secrets import keep, watch
from tests.rest.ota_service import DOWNLOAD_KEY, KEY, OtaService, serving

OPERATOR_KEY = "0f" * 32
MIB = 1024 * 1024
LIMIT = 48 * MIB
BINARY = {"Content-Type": "application/octet-stream"}
APP = ["id", "user_id", "name", "last_app_version_id"]
VERSION = [
    "id",
    "app_id",
    "dateTime",
    "filepath",
    "name",
    "version",
    "note",
    "download_key",
    "sig_md5",
    "size",
]
FIRMWARE = ["id", "type", *VERSION[2:]]


@pytest.fixture(scope="module")
async def ota(stack: LocalStack, resources: Resources) -> AsyncIterator[OtaService]:
    """With the api process `api-2` that knows it."""
    keep(KEY, OPERATOR_KEY, DOWNLOAD_KEY)
    ota_port, api_port = free_ports(2)
    service = OtaService(resources, f"http://127.0.0.1:{ota_port}")
    extra = {
        "MYMOTE_OTA_URL": service.url,
        "MYMOTE_OTA_KEY": KEY,
        "MYMOTE_UPLOAD_MAX_BYTES": str(LIMIT),
        "MYMOTE_WRITES_PER_MINUTE": "10000",
        "MYMOTE_OPERATOR_KEY": OPERATOR_KEY,
    }
    async with serving(service):
        await stack.start_service("api-2", port=api_port, extra=extra)
        await stack.wait_ready("api-2")
        yield service
        await stack.processes["api-2"].stop()


@pytest.fixture(scope="module")
async def api(stack: LocalStack, ota: OtaService) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=stack.url("api-2"), timeout=20) as opened:
        yield watch(opened)


@pytest.fixture(scope="module")
async def reader(resources: Resources, alice: Customer) -> Customer:
    """Alice by a key that may only read."""
    made = await make_key(
        resources.accounts,
        alice.user_id,
        name="reader",
        scopes=[Scope.READ],
        expires_at=None,
        by=None,
        now=datetime.now(UTC),
    )
    return replace(alice, api_key=made.secret)


@pytest.fixture
async def app_id(api: httpx.AsyncClient, alice: Customer) -> str:
    """An app of alice."""
    reply = await api.post(f"{alice.base}/apps", json={"name": "Pump control"})
    made: str = reply.json()["id"]
    return made


async def upload(
    api: httpx.AsyncClient, customer: Customer, app_id: str, body: Any, **query: str
) -> httpx.Response:
    return await api.post(
        f"{customer.base}/apps/{app_id}/versions",
        params={"version": "1.0.0"} | query,
        content=body,
        headers=BINARY,
    )


async def test_without_an_ota_service_what_would_change_says_so(
    client: httpx.AsyncClient, alice: Customer, pump: Manufactured
) -> None:
    device = f"{alice.base}/devices/{pump.device_id}"
    for reply in (
        await client.post(f"{alice.base}/apps", json={"name": "x"}),
        await client.post(f"{alice.base}/apps/a/versions?version=1.0.0", headers=BINARY),
        await client.post(f"{device}/newapp/a/1"),
        await client.post(f"{device}/newfirmware/f/NOW"),
    ):
        assert "OTA" in assert_error(reply, 501)


async def test_an_app_is_made_once_renamed_and_deleted(
    api: httpx.AsyncClient, alice: Customer
) -> None:
    key = {"Idempotency-Key": "app"}
    made = await api.post(f"{alice.base}/apps", json={"name": "Pump"}, headers=key)
    assert made.status_code == 201
    app = made.json()
    assert list(app) == APP
    assert (app["name"], app["user_id"], app["last_app_version_id"]) == ("Pump", alice.user_id, "")
    again = await api.post(f"{alice.base}/apps", json={"name": "Pump"}, headers=key)
    assert (again.status_code, again.json()) == (201, app)
    url = made.headers["location"]
    read = await api.get(url)
    assert read.json() == app
    etag = read.headers["etag"]
    assert etag == made.headers["etag"]
    renamed = await api.patch(url, json={"name": "Pump 2"}, headers={"If-Match": etag})
    assert renamed.json() == app | {"name": "Pump 2"}
    assert_error(await api.patch(url, json={"name": "3"}, headers={"If-Match": etag}), 412)
    listed = (await api.get(f"{alice.base}/apps?limit=200")).json()
    assert app | {"name": "Pump 2"} in listed["items"]
    assert (await api.delete(url)).json() == {"result": "deleted"}
    assert_error(await api.get(url), 404)
    for wrong in ({}, {"name": ""}, {"name": " "}, {"name": "x" * 101}, {"name": 1}, {"id": "x"}):
        assert_error(await api.post(f"{alice.base}/apps", json=wrong), 400)


async def test_a_rename_goes_through_while_a_version_is_added(
    api: httpx.AsyncClient, resources: Resources, ota: OtaService, alice: Customer, app_id: str
) -> None:
    """The document changes between the api's look and the service's write: not what people edit."""
    patch = [{"op": "set", "path": "/last_app_version_id", "value": "v"}]
    ota.go.clear()
    ota.asked.clear()
    renaming = asyncio.create_task(
        api.patch(f"{alice.base}/apps/{app_id}", json={"name": "Pump 4"})
    )
    try:
        await ota.asked.wait()
        await resources.apps.container.patch_item(app_id, alice.user_id, patch)
    finally:
        ota.go.set()
    reply = await renaming
    assert reply.json()["name"] == "Pump 4"
    assert reply.json()["last_app_version_id"] == "v"


async def test_an_upload_arrives_whole_and_its_version_is_read(
    api: httpx.AsyncClient, alice: Customer, app_id: str
) -> None:
    body = os.urandom(300_000)
    md5 = b64encode(hashlib.md5(body).digest()).decode()
    made = await api.post(
        f"{alice.base}/apps/{app_id}/versions",
        params={"version": "1.2.255", "name": "pump & più.bin", "note": "faster"},
        content=body,
        headers=BINARY | {"Content-MD5": md5},
    )
    assert made.status_code == 201
    version = made.json()
    assert list(version) == VERSION
    assert version["name"] == "pump & più.bin"
    assert (version["size"], version["sig_md5"]) == (len(body), md5)
    assert version["download_key"] == DOWNLOAD_KEY
    assert version["dateTime"].endswith("+00:00")
    assert (await api.get(made.headers["location"])).json() == version
    other = await upload(api, alice, app_id, b"x", version="1.3.0")
    listed = (await api.get(f"{alice.base}/apps/{app_id}/versions")).json()
    assert listed == {"items": [other.json(), version], "next": ""}
    same = await upload(api, alice, app_id, b"y", version="1.3.0")
    assert "version" in assert_error(same, 409)
    assert (await api.delete(made.headers["location"])).json() == {"result": "deleted"}
    assert_error(await api.get(made.headers["location"]), 404)


async def test_keys_without_full_scope_see_no_download_key(
    api: httpx.AsyncClient, alice: Customer, reader: Customer, app_id: str
) -> None:
    made = (await upload(api, alice, app_id, b"x")).json()
    url = f"{reader.base}/apps/{app_id}/versions"
    assert (await api.get(f"{url}/{made['id']}")).json() == made | {"download_key": ""}
    assert (await api.get(url)).json()["items"] == [made | {"download_key": ""}]
    assert_error(await upload(api, reader, app_id, b"x", version="2.0.0"), 403)


async def test_a_large_upload_takes_no_memory_and_waits_for_a_slow_service(
    api: httpx.AsyncClient, stack: LocalStack, ota: OtaService, alice: Customer, app_id: str
) -> None:
    await upload(api, alice, app_id, b"warm", version="0.0.1")
    sent = 0

    async def pieces() -> AsyncIterator[bytes]:
        nonlocal sent
        piece = bytes(MIB // 4)
        while sent < LIMIT:
            sent += len(piece)
            yield piece

    before = peak_memory(stack, "api-2")
    ota.read.clear()
    uploading = asyncio.create_task(upload(api, alice, app_id, pieces()))
    try:
        stalled = -1
        while stalled != sent or not sent:
            stalled = sent
            await asyncio.sleep(0.2)
        assert sent < LIMIT  # nobody reads, so nobody writes
    finally:
        ota.read.set()
    reply = await uploading
    assert reply.json()["size"] == LIMIT
    assert peak_memory(stack, "api-2") - before < 8 * MIB


async def test_a_cut_off_upload_is_cut_off_upstream(
    api: httpx.AsyncClient, stack: LocalStack, ota: OtaService, alice: Customer, app_id: str
) -> None:
    url = httpx.URL(stack.url("api-2"))
    _, writer = await asyncio.open_connection(url.host, url.port)
    head = (
        f"POST {alice.base}/apps/{app_id}/versions?version=1.0.0 HTTP/1.1\r\nHost: x\r\n"
        "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n"
    )
    writer.write(head.encode() + bytes(200_000))
    await writer.drain()
    writer.close()
    assert await asyncio.wait_for(ota.aborted.get(), 10) <= 200_000
    assert (await api.get(f"{alice.base}/apps/{app_id}/versions")).json()["items"] == []


async def test_above_the_limit_nothing_is_kept(
    api: httpx.AsyncClient, ota: OtaService, alice: Customer, app_id: str
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // MIB + 1):
            yield bytes(MIB)

    assert_error(await upload(api, alice, app_id, endless()), 413)
    assert await asyncio.wait_for(ota.aborted.get(), 10) <= LIMIT
    announced = await api.post(
        f"{alice.base}/apps/{app_id}/versions?version=1.0.0",
        content=endless(),
        headers=BINARY | {"Content-Length": str(LIMIT + MIB)},
    )
    assert_error(announced, 413)
    assert ota.aborted.empty()  # that one never got there
    assert (await api.get(f"{alice.base}/apps/{app_id}/versions")).json()["items"] == []


@pytest.mark.parametrize(
    ("query", "headers", "body", "status"),
    [
        ("", BINARY, b"x", 400),
        ("version=1.0", BINARY, b"x", 400),
        ("version=1.0.256", BINARY, b"x", 400),
        ("version=01.0.0", BINARY, b"x", 400),
        ("version=1.0.0&kind=x", BINARY, b"x", 400),
        (f"version=1.0.0&note={'x' * 1001}", BINARY, b"x", 400),
        ("version=1.0.0", BINARY, b"", 400),
        ("version=1.0.0", BINARY | {"Content-MD5": "x"}, b"x", 400),
        ("version=1.0.0", BINARY | {"Content-MD5": "AAAA"}, b"x", 400),
        ("version=1.0.0", BINARY | {"Content-MD5": "A" * 22 + "=="}, b"x", 400),
        ("version=1.0.0", {"Content-Type": "application/json"}, b"{}", 415),
        ("version=1.0.0", BINARY | {"Content-Encoding": "gzip"}, b"x", 415),
    ],
)
async def test_malformed_uploads(
    api: httpx.AsyncClient,
    alice: Customer,
    app_id: str,
    query: str,
    headers: dict[str, str],
    body: bytes,
    status: int,
) -> None:
    url = f"{alice.base}/apps/{app_id}/versions?{query}"
    assert_error(await api.post(url, content=body, headers=headers), status)


async def test_orders_reach_the_service_once(
    api: httpx.AsyncClient,
    resources: Resources,
    ota: OtaService,
    alice: Customer,
    pump: Manufactured,
    app_id: str,
) -> None:
    version = (await upload(api, alice, app_id, b"x")).json()["id"]
    firmware = await new_firmware(resources, "f1", "X400")
    device = f"{alice.base}/devices/{pump.device_id}"
    key = {"Idempotency-Key": app_id}
    for _ in range(2):
        reply = await api.post(f"{device}/newapp/{app_id}/{version}", headers=key)
        assert (reply.status_code, reply.json()) == (200, {"result": "ordered"})
        job_id = reply.headers["location"].removeprefix(f"{alice.base}/jobs/")
    (order,) = ota.orders
    assert order["id"] == job_id
    assert (order["user_id"], order["device_id"]) == (alice.user_id, pump.device_id)
    assert (order["app_id"], order["version_id"]) == (app_id, version)
    assert order["ordered_by"]
    reply = await api.post(f"{device}/newfirmware/{firmware}/NOW")
    assert reply.json() == {"result": "ordered"}
    assert ota.orders[-1]["firmware_id"] == firmware
    assert_error(await api.post(f"{device}/newapp/{app_id}/none"), 404)
    assert_error(await api.post(f"{device}/newapp/none/{version}"), 404)
    assert_error(await api.post(f"{device}/newfirmware/none/NOW"), 404)
    assert len(ota.orders) == 2


async def test_an_order_can_be_taken_back_until_it_installs(
    api: httpx.AsyncClient,
    ota: OtaService,
    resources: Resources,
    alice: Customer,
    reader: Customer,
    pump: Manufactured,
    app_id: str,
) -> None:
    version = (await upload(api, alice, app_id, b"x")).json()["id"]
    order = f"{alice.base}/devices/{pump.device_id}/newapp/{app_id}/{version}"
    job_id = (await api.post(order)).headers["location"].rpartition("/")[2]
    assert_error(await api.delete(f"{reader.base}/jobs/{job_id}"), 403)
    cancelled = (await api.delete(f"{alice.base}/jobs/{job_id}")).json()
    assert (cancelled["state"], cancelled["reason"]) == ("cancelled", "Cancelled by first.")
    assert_error(await api.delete(f"{alice.base}/jobs/{job_id}"), 409)
    installing = (await api.post(order)).headers["location"].rpartition("/")[2]
    job = await resources.jobs.get(alice.user_id, installing)
    assert job is not None
    await ota.move(job, JobState.INSTALLING)
    assert_error(await api.delete(f"{alice.base}/jobs/{installing}"), 409)


async def test_firmware_is_listed_newest_first_and_by_type(
    api: httpx.AsyncClient,
    resources: Resources,
    alice: Customer,
    reader: Customer,
    bob: Customer,
) -> None:
    for name, kind in (("l1", "X500"), ("l2", "X400"), ("l3", "X500")):
        await new_firmware(resources, name, kind)
    whole = (await api.get(f"{alice.base}/firmware")).json()
    assert [each["id"] for each in whole if each["id"] in ("l1", "l2", "l3")] == ["l3", "l2", "l1"]
    assert all(list(each) == FIRMWARE for each in whole)
    some = (await api.get(f"{bob.base}/firmware?type=X500")).json()
    assert [each["id"] for each in some] == ["l3", "l1"]
    assert (await api.get(f"{alice.base}/firmware/l3")).json() == some[0]
    hidden = (await api.get(f"{reader.base}/firmware/l3")).json()
    assert hidden == some[0] | {"download_key": ""}
    assert_error(await api.get(f"{alice.base}/firmware/none"), 404)
    assert_error(await api.get(f"{alice.base}/firmware/a%20b"), 400)


async def test_the_operator_uploads_firmware_for_all(
    api: httpx.AsyncClient, client: httpx.AsyncClient, alice: Customer
) -> None:
    url = "/api/operator/firmware"
    headers = BINARY | {"X-Operator-Key": OPERATOR_KEY}
    query = {"type": "X900", "version": "2.1.0", "name": "core.bin"}
    made = await api.post(url, params=query, content=b"core", headers=headers)
    assert made.status_code == 201
    firmware = made.json()
    assert list(firmware) == FIRMWARE
    assert (firmware["type"], firmware["size"]) == ("X900", 4)
    assert (await api.get(f"{alice.base}/firmware?type=X900")).json() == [firmware]
    location = made.headers["location"]
    for read in (
        await api.get(location, headers=headers),
        await api.get(f"{alice.base}/firmware/{firmware['id']}"),
    ):
        assert read.json() == firmware
    assert (await api.get(f"{url}?type=X900", headers=headers)).json() == [firmware]
    assert_error(await api.post(url, params=query, content=b"core", headers=BINARY), 401)
    assert_error(await api.post(url, params=query, content=b"", headers=headers), 400)
    assert_error(await client.get(url, headers=headers), 501)
    assert (await api.delete(location, headers=headers)).json() == {"result": "deleted"}
    assert_error(await api.delete(location, headers=headers), 404)


async def test_another_accounts_answers_as_one_that_does_not_exist(
    api: httpx.AsyncClient, alice: Customer, bob: Customer, boiler: Manufactured, app_id: str
) -> None:
    version = (await upload(api, alice, app_id, b"x")).json()["id"]
    own = (await api.post(f"{bob.base}/apps", json={"name": "Boiler"})).json()["id"]
    device = f"/devices/{boiler.device_id}/newapp"
    calls: list[tuple[str, str, str, dict[str, Any]]] = [
        ("GET", f"/apps/{app_id}", "/apps/none", {}),
        ("PATCH", f"/apps/{app_id}", "/apps/none", {"json": {"name": "x"}}),
        ("DELETE", f"/apps/{app_id}", "/apps/none", {}),
        ("GET", f"/apps/{app_id}/versions", "/apps/none/versions", {}),
        (
            "POST",
            f"/apps/{app_id}/versions?version=2.0.0",
            "/apps/none/versions?version=2.0.0",
            {"content": b"x", "headers": BINARY},
        ),
        ("GET", f"/apps/{app_id}/versions/{version}", "/apps/none/versions/none", {}),
        ("GET", f"/apps/{own}/versions/{version}", f"/apps/{own}/versions/none", {}),
        ("DELETE", f"/apps/{app_id}/versions/{version}", "/apps/none/versions/none", {}),
        ("POST", f"{device}/{app_id}/{version}", f"{device}/none/none", {}),
    ]
    for method, foreign, unknown, given in calls:
        replies = [
            await api.request(method, f"{bob.base}{path}", **given) for path in (foreign, unknown)
        ]
        assert_error(replies[0], 404)
        assert replies[0].content == replies[1].content
    assert (await api.get(f"{alice.base}/apps/{app_id}/versions/{version}")).status_code == 200
    foreign_device = f"{alice.base}/devices/{boiler.device_id}/newapp/{app_id}/{version}"
    unknown_device = f"{alice.base}/devices/{UNKNOWN}/newapp/{app_id}/{version}"
    replies = [await api.post(url) for url in (foreign_device, unknown_device)]
    assert_error(replies[0], 404)
    assert replies[0].content == replies[1].content


@pytest.mark.parametrize(
    ("answer", "status", "says"),
    [
        (JSONResponse({"error": "A device is being sent it."}, 409), 409, "being sent it"),
        (JSONResponse({"error": "The name is bad."}, 400), 400, "The name is bad"),
        (
            JSONResponse({"error": "Too many at once."}, 429, headers={"Retry-After": "7"}),
            429,
            "at once",
        ),
        (JSONResponse({"error": "Blobs do not answer."}, 503), 503, "Blobs"),
        (JSONResponse({"error": "no"}, 401), 503, "OTA"),
        (JSONResponse({"error": "no"}, 500), 503, "OTA"),
        (Response("Bad Gateway", 502), 503, "OTA"),
        (Response("<html>", 404), 503, "OTA"),
        (JSONResponse({}, 201), 503, "OTA"),
        (Response(bytes(100_000), 201), 503, "OTA"),
        (Response(status_code=302, headers={"Location": "/"}), 503, "OTA"),
    ],
)
async def test_what_the_service_refuses_and_what_it_should_not_answer(
    api: httpx.AsyncClient,
    ota: OtaService,
    alice: Customer,
    answer: Response,
    status: int,
    says: str,
) -> None:
    ota.odd = answer
    try:
        reply = await api.post(f"{alice.base}/apps", json={"name": "x"})
    finally:
        ota.odd = None
    assert says in assert_error(reply, status)
    if status == 429:
        assert reply.headers["retry-after"] == "7"
    if status == 503:
        assert reply.headers["retry-after"]


async def test_a_service_that_does_not_answer_is_503(
    monkeypatch: pytest.MonkeyPatch, ota: OtaService
) -> None:
    (nobody,) = free_ports(1)
    key = SecretStr(KEY)
    async with open_ota(f"http://127.0.0.1:{nobody}", key, None) as gone:
        with pytest.raises(Unavailable, match="OTA"):
            await gone.delete_app("u1", "a1")
    monkeypatch.setattr("services.api.store.ota.CALL_SECONDS", 0.2)
    correlation_id.set("test")
    ota.go.clear()
    ota.asked.clear()
    try:
        async with open_ota(ota.url, key, None) as slow:
            with pytest.raises(Unavailable, match="OTA"):
                await slow.delete_app("u1", "a1")
        await ota.asked.wait()
    finally:
        ota.go.set()


async def new_firmware(resources: Resources, firmware_id: str, kind: str) -> str:
    """As the OTA service keeps it."""
    made = FirmwareDocument(
        id=firmware_id,
        type=kind,
        name=f"{firmware_id}.bin",
        version="2.0.0",
        created_at=datetime.now(UTC),
        filepath=f"bin/{firmware_id}",
        download_key=DOWNLOAD_KEY,
        sig_md5="PkrfRx4MJuPOGCBYunt25g==",
        sha256="0" * 64,
        signature="",
        size=1,
    )
    await resources.firmware.container.upsert_item(made.model_dump(mode="json"))
    return firmware_id


def peak_memory(stack: LocalStack, name: str) -> int:
    """Bytes that the process had at most."""
    status = Path(f"/proc/{stack.processes[name].pid}/status").read_text()
    (line,) = [each for each in status.splitlines() if each.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
