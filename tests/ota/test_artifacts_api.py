"""Uploads by the api's own calls, through to Blob Storage: as they are, and as forms."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from services.api.logic.uploading import OF_ALL, OF_ONE, Uploading
from services.api.store.ota import CONNECTIONS
from services.ota.resources import Resources
from shared.errors import TooMany
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.known_secrets import keep
from tests.ota.artifact_calls import LIMIT, blobs_of, refused, under_way, until

PLAIN = {"Content-Type": "application/octet-stream"}


@pytest.fixture
async def versions(client: httpx.AsyncClient, alice: Customer) -> str:
    """Where versions of a new app are uploaded to."""
    made = await client.post(f"{alice.base}/apps", json={"name": "Pump control"})
    return f"{alice.base}/apps/{made.json()['id']}/versions"


def kept(reply: httpx.Response) -> dict[str, Any]:
    assert reply.status_code == 201, reply.text
    version: dict[str, Any] = reply.json()
    keep(version["download_key"])
    return version


async def content(ota: Resources, version: dict[str, Any]) -> bytes:
    blob = ota.stores.blobs.container.get_blob_client(version["filepath"])
    return await (await blob.download_blob()).readall()


async def test_a_form_is_kept_as_its_file(
    client: httpx.AsyncClient, ota: Resources, versions: str
) -> None:
    body = bytes(range(256)) * 1000
    reply = await client.post(
        versions,
        data={"version": "1.0.0", "note": "Più veloce.\n\nAnd smaller."},
        files={"file": ("pump.bin", body, "application/x-anything")},
    )
    version = kept(reply)
    assert (version["name"], version["version"]) == ("pump.bin", "1.0.0")
    assert version["note"] == "Più veloce.\n\nAnd smaller."
    assert await content(ota, version) == body
    assert (await client.get(reply.headers["location"])).json() == version
    again = await client.post(versions, data={"version": "1.0.0"}, files={"file": ("p.bin", b"x")})
    refused(again, 409)
    named = await client.post(f"{versions}?version=1.0.1&name=P", files={"file": ("P.BIN", b"x")})
    assert kept(named)["name"] == "P"


async def test_a_plain_body_may_say_its_file_name(
    client: httpx.AsyncClient, ota: Resources, versions: str
) -> None:
    url = f"{versions}?version=1.0.0"
    for wrong in ('attachment; filename="pump.hex"', "attachment; filename*=UTF-8''pump.hex"):
        headers = PLAIN | {"Content-Disposition": wrong}
        assert ".bin" in refused(await client.post(url, content=b"x", headers=headers), 400)
    headers = PLAIN | {"Content-Disposition": 'attachment; filename="pump.bin"'}
    version = kept(await client.post(url, content=b"x", headers=headers))
    assert version["name"] == "pump.bin"


@pytest.mark.parametrize(
    ("fields", "file", "query", "status", "says"),
    [
        ({"version": "1.0.0"}, ("pump.hex", b"x"), "", 400, ".bin"),
        ({"version": "1.0.0"}, ("pump.bin", b""), "", 400, "empty"),
        ({"version": "1.0.0"}, ("pump.bin", b"x" * (LIMIT + 1)), "", 413, str(LIMIT)),
        ({"version": "1.0.0"}, ("../../pump.bin", b"x"), "", 400, "folder"),
        ({"version": "1.0.0", "name": "..\\pump"}, ("pump.bin", b"x"), "", 400, "folder"),
        ({"version": "1.0"}, ("pump.bin", b"x"), "", 400, "version"),
        ({}, ("pump.bin", b"x"), "", 400, "version"),
        ({"version": "1.0.0"}, ("pump.bin", b"x"), "?version=1.0.0", 400, "version"),
        ({"version": "1.0.0", "type": "X400"}, ("pump.bin", b"x"), "", 400, "does not know"),
        ({"version": "1.0.0", "note": "x" * 1001}, ("pump.bin", b"x"), "", 400, "1000"),
    ],
)
async def test_a_form_that_is_refused_leaves_nothing(
    client: httpx.AsyncClient,
    ota: Resources,
    alice: Customer,
    versions: str,
    *,
    fields: dict[str, str],
    file: tuple[str, bytes],
    query: str,
    status: int,
    says: str,
) -> None:
    before = await blobs_of(ota, f"apps/{alice.user_id}/")
    reply = await client.post(versions + query, data=fields, files={"file": file})
    assert says in refused(reply, status)
    assert (await client.get(versions)).json()["items"] == []
    await _until_blobs(ota, alice, before)


async def test_a_form_that_goes_on_or_is_cut_off_leaves_nothing(
    client: httpx.AsyncClient, stack: LocalStack, ota: Resources, alice: Customer, versions: str
) -> None:
    before = await blobs_of(ota, f"apps/{alice.user_id}/")
    head = (
        b'--b\r\nContent-Disposition: form-data; name="version"\r\n\r\n1.0.0\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'
    )
    whole = head + bytes(LIMIT) + b"\r\n--b--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    for body in (whole[:-10], whole[:-4] + head[3:], whole[:-4] + b"\r\n" + head):
        reply = await client.post(versions, content=_pieces(body), headers=headers)
        refused(reply, 400)
    _, writer = await asyncio.open_connection(*_address(client))
    lines = f"POST {versions} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(whole)}\r\n"
    type_line = "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    writer.write((lines + type_line).encode() + whole[:-1000])
    await writer.drain()
    writer.close()
    await _until_blobs(ota, alice, before)
    assert (await client.get(versions)).json()["items"] == []
    kept(await client.post(versions, content=_pieces(whole), headers=headers))


async def test_refused_names_are_on_the_audit_log(
    client: httpx.AsyncClient, alice: Customer, versions: str
) -> None:
    correlation = "a-path-in-a-name"
    reply = await client.post(
        versions,
        data={"version": "1.0.0", "name": "../../../etc/passwd"},
        files={"file": ("a.bin", b"x")},
        headers={"X-Correlation-Id": correlation},
    )
    refused(reply, 400)
    found = await client.get(f"{alice.base}/audit?operation=uploadAppVersion&limit=50")
    records = found.json()["items"]
    assert [each["status"] for each in records if each["correlation_id"] == correlation] == [400]


async def test_slow_uploads_of_an_account_hold_nobody_up(
    client: httpx.AsyncClient, ota: Resources, alice: Customer, bob: Customer, versions: str
) -> None:
    slow = []
    for number in range(OF_ONE):
        _, writer = await asyncio.open_connection(*_address(client))
        head = (
            f"POST {versions}?version=2.0.{number} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n"
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        writer.write(head.encode() + b"x")
        slow.append(writer)
    await until(lambda: under_way(ota, alice.user_id), OF_ONE)
    url = f"{versions}?version=1.0.0"
    reply = await client.post(url, content=b"x", headers=PLAIN)
    assert "this account" in refused(reply, 429)
    assert int(reply.headers["retry-after"]) > 0
    made = await client.post(f"{bob.base}/apps", json={"name": "Pump control"})
    others = f"{bob.base}/apps/{made.json()['id']}/versions?version=1.0.0"
    kept(await client.post(others, content=b"x", headers=PLAIN))
    for writer in slow:
        writer.transport.abort()
    await until(lambda: under_way(ota, alice.user_id), 0)
    kept(await client.post(url, content=b"x", headers=PLAIN))


def test_uploads_leave_connections_for_orders() -> None:
    uploading = Uploading()
    assert OF_ALL < CONNECTIONS
    with ExitStack() as running:
        for number in range(OF_ALL):
            running.enter_context(uploading.one_of(f"u{number}"))
        with pytest.raises(TooMany), uploading.one_of("another"):
            pass
    with uploading.one_of("another"):
        pass


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), 10_000):
        yield body[start : start + 10_000]


def _address(client: httpx.AsyncClient) -> tuple[str, int]:
    assert client.base_url.port is not None
    return client.base_url.host, client.base_url.port


async def _until_blobs(ota: Resources, alice: Customer, wanted: set[str]) -> None:
    """The OTA service hears a little later that an upload was cut off."""
    await until(lambda: blobs_of(ota, f"apps/{alice.user_id}/"), wanted)
