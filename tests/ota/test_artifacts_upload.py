"""Uploading app versions and firmware to the OTA service: whole, signed, under its hashes, or not
at all."""

import asyncio
import hashlib
import uuid
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from fastapi.routing import APIRoute

from services.ota.documents import Upload
from services.ota.factory import ROUTERS
from services.ota.logic.uploads import OLD, sweep
from services.ota.resources import Resources
from shared.schemas.artifacts import AppDocument, FirmwareDocument
from shared.schemas.audit import PLATFORM
from stack.local import LocalStack
from tests.known_secrets import keep
from tests.ota.artifact_calls import (
    BASE,
    BINARY,
    LIMIT,
    USER,
    blobs_of,
    make_app,
    nothing_is_left,
    refused,
    under_way,
    until,
    upload,
    uploaded,
)


@pytest.fixture
async def app(ota_client: httpx.AsyncClient) -> AppDocument:
    return await make_app(ota_client)


@pytest.fixture
async def before(ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument) -> set[str]:
    """The blobs that a test finds."""
    return await blobs_of(ota, f"apps/{USER}/")


async def test_a_version_is_kept_with_its_hashes_and_a_signature(
    ota: Resources, ota_client: httpx.AsyncClient, gateways: httpx.AsyncClient, app: AppDocument
) -> None:
    body = bytes(range(256)) * 1024  # as large as may be
    made = await uploaded(ota_client, app, body)
    assert (made.app_id, made.user_id, made.size) == (app.id, USER, LIMIT)
    assert (made.name, made.version, made.note) == ("pump.bin", "1.0.0", "New.")
    assert b64decode(made.sig_md5) == hashlib.md5(body).digest()
    assert made.sha256 == hashlib.sha256(body).hexdigest()
    assert made.filepath == f"apps/{USER}/{made.id}.bin"
    assert len(made.download_key) == 64
    blob = ota.stores.blobs.container.get_blob_client(made.filepath)
    properties = await blob.get_blob_properties()
    assert bytes(properties.content_settings.content_md5 or b"") == hashlib.md5(body).digest()
    assert properties.etag == made.blob_etag
    assert await (await blob.download_blob()).readall() == body
    held = await ota.stores.apps.app(USER, app.id)
    assert held is not None
    assert held.app.last_app_version_id == made.id

    keys = (await gateways.get("/keys")).json()["keys"]
    active = [each for each in keys if each["active"]]
    assert len(active) == 1
    public = b64decode(active[0]["public_key"])
    assert active[0]["id"] == hashlib.sha256(public).hexdigest()[:16]
    signed = f"mymote-artifact-v1\napp\nPump control\n1.0.0\n{LIMIT}\n{made.sha256}\n"
    key = Ed25519PublicKey.from_public_bytes(public)
    key.verify(b64decode(made.signature), signed.encode())
    with pytest.raises(InvalidSignature):
        key.verify(b64decode(made.signature), signed.replace("1.0.0", "1.0.1").encode())


async def test_pieces_of_any_size_make_the_same_binary(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for number in range(300):
            yield bytes([number % 256]) * (number + 1)

    whole = b"".join([bytes([number % 256]) * (number + 1) for number in range(300)])
    made = await uploaded(ota_client, app, pieces(), name="caffè\u00a0☕.bin")
    assert made.name == "caffè\u00a0☕.bin"
    blob = ota.stores.blobs.container.get_blob_client(made.filepath)
    assert await (await blob.download_blob()).readall() == whole
    assert made.sha256 == hashlib.sha256(whole).hexdigest()


@pytest.mark.parametrize(
    ("body", "more", "status", "says"),
    [
        (b"", {}, 400, "empty"),
        (b"x" * (LIMIT + 1), {}, 413, "262144"),
        (b"x", {"version": "1.0"}, 400, "a.b.c"),
        (b"x", {"version": "1.0.256"}, 400, "a.b.c"),
        (b"x", {"version": "01.0.0"}, 400, "a.b.c"),
        (b"x", {"name": "../../pump.bin"}, 400, "folder"),
        (b"x", {"name": "a\\b.bin"}, 400, "folder"),
        (b"x", {"name": "a\nb.bin"}, 400, "line breaks"),
        (b"x", {"name": "a\u2028b.bin"}, 400, "line breaks"),
        (b"x", {"name": "x" * 101}, 400, "100"),
        (b"x", {"note": "x" * 1001}, 400, "1000"),
        (b"x", {"headers": {"Content-MD5": b64encode(b"0" * 16).decode()}}, 400, "Content-MD5"),
        (b"x", {"headers": {"Content-MD5": "?"}}, 400, "Content-MD5"),
        (b"x", {"headers": {"Content-Type": "text/plain"}}, 415, "octet-stream"),
    ],
)
async def test_what_is_refused_leaves_nothing(
    ota: Resources,
    ota_client: httpx.AsyncClient,
    app: AppDocument,
    before: set[str],
    body: bytes,
    more: dict[str, Any],
    status: int,
    says: str,
) -> None:
    assert says in refused(await upload(ota_client, app, body, **more), status)
    await nothing_is_left(ota, app, before)


async def test_what_grows_too_large_on_its_way_leaves_nothing(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument, before: set[str]
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(LIMIT // 65536 + 1):
            yield b"x" * 65536

    refused(await upload(ota_client, app, pieces()), 413)
    await nothing_is_left(ota, app, before)


@pytest.mark.parametrize("head", ["Content-Length: 262144", "Transfer-Encoding: chunked"])
async def test_an_upload_that_is_cut_off_leaves_nothing(
    stack: LocalStack, ota: Resources, app: AppDocument, before: set[str], head: str
) -> None:
    settings = stack.endpoints.settings
    _, writer = await asyncio.open_connection(settings.hostname, settings.ota_port)
    request = (
        f"POST {BASE}/{app.id}/versions?version=1.0.0 HTTP/1.1\r\nHost: ota\r\n"
        f"Authorization: Bearer {stack.endpoints.keys.ota}\r\n"
        f"Content-Type: application/octet-stream\r\n{head}\r\n\r\n"
    )
    piece = b"x" * 1000
    body = b"3e8\r\n" + piece + b"\r\n" if "chunked" in head else piece
    writer.write(request.encode() + body)
    await writer.drain()
    await until(lambda: under_way(ota), 1)
    writer.transport.abort()
    await until(lambda: under_way(ota), 0)
    await nothing_is_left(ota, app, before)


async def test_of_two_uploads_of_one_version_one_is_kept(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument, before: set[str]
) -> None:
    replies = await asyncio.gather(
        *(upload(ota_client, app, bytes([number]) * 1000) for number in range(5))
    )
    made = [reply.json() for reply in replies if reply.status_code == 201]
    assert len(made) == 1
    for reply in replies:
        if reply.status_code != 201:
            assert "1.0.0" in refused(reply, 409)
    await nothing_is_left(ota, app, {*before, made[0]["filepath"]})
    assert "already" in refused(await upload(ota_client, app, b"again"), 409)


async def test_versions_that_are_uploaded_at_once_are_all_kept(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    made = await asyncio.gather(
        *(uploaded(ota_client, app, b"x", version=f"1.{number}.0") for number in range(5))
    )
    held = await ota.stores.apps.app(USER, app.id)
    assert held is not None
    assert held.app.last_app_version_id in {each.id for each in made}
    assert len(await ota.stores.apps.versions(USER, app.id)) == 5


async def test_an_app_that_is_not_there_takes_no_version(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    gone = app.model_copy(update={"id": "none"})
    refused(await upload(ota_client, gone, b"x"), 404)
    made = await uploaded(ota_client, app, b"x")
    for id_ in (made.id, "claim-0"):  # in the same partition, and no app
        refused(await upload(ota_client, app.model_copy(update={"id": id_}), b"x"), 404)


async def test_a_firmware_is_kept_once_for_its_type_and_name(
    ota: Resources, ota_client: httpx.AsyncClient, gateways: httpx.AsyncClient
) -> None:
    name = f"{uuid.uuid4().hex}.bin"

    async def send(**query: str) -> httpx.Response:
        params = {"type": "X400", "version": "9.0.1", "name": name} | query
        body = b"firmware" * 100_000  # several blocks
        reply = await ota_client.post(
            "/internal/firmware", params=params, content=body, headers=BINARY
        )
        if reply.status_code == 201:
            keep(reply.json()["download_key"])
        return reply

    made = FirmwareDocument.model_validate_json((await send()).content)
    assert (made.size, made.type, made.version) == (800_000, "X400", "9.0.1")
    assert made.filepath == f"firmware/{made.id}.bin"
    signed = f"mymote-artifact-v1\nfirmware\n{name}\n9.0.1\n800000\n{made.sha256}\n"
    public = b64decode((await gateways.get("/keys")).json()["keys"][0]["public_key"])
    key = Ed25519PublicKey.from_public_bytes(public)
    key.verify(b64decode(made.signature), signed.encode())
    assert "already" in refused(await send(), 409)
    assert (await send(type="X500")).status_code == 201
    refused(await send(type="../X400"), 400)
    refused(await send(name="../core.bin"), 400)
    reply = await ota_client.delete(f"/internal/firmware/{made.id}")
    assert reply.json() == {"result": "deleted"}
    refused(await ota_client.delete(f"/internal/firmware/{made.id}"), 404)
    assert await blobs_of(ota, made.filepath) == set()
    assert (await send()).status_code == 201  # its number is free again
    audit = ota.refusals.audit.container.query_items(
        "SELECT c.operation, c.status FROM c WHERE c.actor_kind = 'operator' ORDER BY c.at",
        partition_key=PLATFORM,
    )
    done = [(item["operation"], item["status"]) async for item in audit]
    upload, delete = "uploadFirmware", "deleteFirmware"
    assert done[-8:] == [
        (upload, 201),
        (upload, 409),
        (upload, 201),
        (upload, 400),
        (upload, 400),
        (delete, 200),
        (delete, 404),
        (upload, 201),
    ]


async def test_what_came_to_nothing_is_forgotten_an_hour_later(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument, before: set[str]
) -> None:
    stores = ota.stores
    long_ago = datetime.now(UTC) - 2 * OLD
    path = f"apps/{USER}/nothing.bin"  # of which no byte came
    await stores.uploads.begin(
        Upload(id="nothing", kind="app", partition=USER, filepath=path, created_at=long_ago)
    )
    kept = await uploaded(ota_client, app, b"kept")
    await stores.uploads.begin(
        Upload(id=kept.id, kind="app", partition=USER, filepath=kept.filepath, created_at=long_ago)
    )
    held = await stores.apps.version(USER, kept.id)
    assert held is not None
    marked = held.version.model_copy(update={"deleting": True})  # a deletion that went no further
    assert await stores.apps.replace_version(marked, held.etag)

    assert await sweep(stores, datetime.now(UTC) - timedelta(hours=2)) == 0
    assert await sweep(stores) == 2
    await nothing_is_left(ota, app, {*before, kept.filepath})
    again = await stores.apps.version(USER, kept.id)
    assert again is not None
    assert not again.version.deleting


async def test_the_internal_calls_need_the_key(
    gateways: httpx.AsyncClient, stack: LocalStack
) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": stack.endpoints.keys.ota},
        {"Authorization": "Bearer ÿ".encode("latin-1")},
    ):
        reply = await gateways.post(BASE, json={}, headers=headers)  # type: ignore[arg-type]
        assert "MYMOTE_OTA_KEY" in refused(reply, 401)
    internal = [
        (method, route.path_format)
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, APIRoute) and route.path.startswith("/internal")
        for method in route.methods or ()
    ]
    assert len(internal) == 10
    for method, path in internal:
        refused(await gateways.request(method, path.format_map(defaultdict(lambda: "x"))), 401)
