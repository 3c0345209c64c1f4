"""Downloads that are granted, over HTTP as gateways speak it."""

import hashlib
import time
from base64 import b64encode
from dataclasses import replace

import httpx
import pytest

from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources as ApiResources
from services.ota.logic.chunks import CHUNK_BYTES
from services.ota.resources import Resources
from shared.errors import MyMoteError
from shared.wrong_keys import new_wrong_keys
from tests.api.customers import Customer
from tests.ota.served_files import Served, order, records, serve_app, serve_firmware

CONTENT = hashlib.shake_256(b"an app").digest(3 * CHUNK_BYTES + 17)


@pytest.fixture(scope="module")
async def served(ota: Resources, alice: Customer) -> Served:
    return await serve_app(ota, alice.user_id, CONTENT)


async def test_by_key_the_whole_file_comes_with_its_checks(
    gateways: httpx.AsyncClient, served: Served
) -> None:
    reply = await gateways.get(served.path, params={"key": served.key})
    assert reply.status_code == 200
    assert reply.content == CONTENT
    digest = b64encode(hashlib.sha256(CONTENT).digest()).decode()
    wanted = {
        "ETag": f'"{served.sha256}"',
        "Content-MD5": served.md5,
        "Digest": f"sha-256={digest}",
        "Repr-Digest": f"sha-256=:{digest}:",
        "Accept-Ranges": "bytes",
        "Content-Length": str(len(CONTENT)),
        "Content-Type": "application/octet-stream",
        "Cache-Control": "private, no-store",
    }
    assert {name: reply.headers[name] for name in wanted} == wanted


async def test_head_has_the_same_headers_and_no_body(
    gateways: httpx.AsyncClient, served: Served
) -> None:
    key = {"X-Download-Key": served.key}
    reply = await gateways.head(served.path, headers={**key, "Range": "bytes=5-"})
    whole = await gateways.get(served.path, headers=key)
    assert (reply.status_code, reply.content) == (200, b"")
    changing = ("date", "x-correlation-id")
    assert [each for each in reply.headers.items() if each[0] not in changing] == [
        each for each in whole.headers.items() if each[0] not in changing
    ]


@pytest.mark.parametrize("first", [1, CHUNK_BYTES - 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 5])
async def test_a_cut_download_goes_on_where_it_stopped(
    gateways: httpx.AsyncClient, served: Served, first: int
) -> None:
    etag = f'"{served.sha256}"'
    headers = {"X-Download-Key": served.key, "Range": f"bytes={first}-", "If-Range": etag}
    reply = await gateways.get(served.path, headers=headers)
    assert reply.status_code == 206
    assert reply.content == CONTENT[first:]
    assert reply.headers["Content-Range"] == f"bytes {first}-{len(CONTENT) - 1}/{len(CONTENT)}"
    assert "Content-MD5" not in reply.headers  # which would be that of the whole
    assert reply.headers["ETag"] == etag


async def test_a_part_of_another_file_is_not_wanted(
    gateways: httpx.AsyncClient, served: Served
) -> None:
    headers = {"X-Download-Key": served.key, "Range": "bytes=5-", "If-Range": '"another"'}
    reply = await gateways.get(served.path, headers=headers)
    assert (reply.status_code, reply.content) == (200, CONTENT)


async def test_a_range_behind_the_end_is_told_the_size(
    gateways: httpx.AsyncClient, served: Served
) -> None:
    headers = {"X-Download-Key": served.key, "Range": f"bytes={len(CONTENT)}-"}
    reply = await gateways.get(served.path, headers=headers)
    assert reply.status_code == 416
    assert reply.headers["Content-Range"] == f"bytes */{len(CONTENT)}"
    assert str(len(CONTENT)) in reply.json()["error"]
    assert not {"digest", "repr-digest"} & set(reply.headers)  # the body is not the file


async def test_who_has_the_file_gets_none_and_who_wants_another_is_told(
    gateways: httpx.AsyncClient, served: Served
) -> None:
    key = {"X-Download-Key": served.key}
    etag = f'"{served.sha256}"'
    has = await gateways.get(served.path, headers={**key, "If-None-Match": etag})
    assert (has.status_code, has.content, has.headers["ETag"]) == (304, b"", etag)
    other = await gateways.get(served.path, headers={**key, "If-Match": '"another"'})
    assert (other.status_code, other.headers["ETag"]) == (412, etag)
    assert not {"digest", "repr-digest"} & set(other.headers)


@pytest.mark.parametrize("kind", ["app", "firmware"])
async def test_a_device_downloads_with_its_ticket_and_proof(
    gateways: httpx.AsyncClient,
    resources: ApiResources,
    ota: Resources,
    alice: Customer,
    pump: Manufactured,
    kind: str,
) -> None:
    made = await (
        serve_app(ota, alice.user_id, CONTENT) if kind == "app" else serve_firmware(ota, CONTENT)
    )
    ordered = await order(resources, ota, made, alice, pump)
    ticket = {"ticket": ordered.ticket}
    head = await gateways.head(ordered.path, params=ticket, headers=ordered.headers("HEAD"))
    assert (head.status_code, head.headers["ETag"]) == (200, f'"{made.sha256}"')
    resumed = {**ordered.headers(), "Range": "bytes=1000-", "If-Range": head.headers["ETag"]}
    rest = await gateways.get(ordered.path, params=ticket, headers=resumed)
    assert (rest.status_code, rest.content) == (206, CONTENT[1000:])
    whole = await gateways.get(ordered.path, params=ticket, headers=ordered.headers())
    assert (whole.status_code, whole.content) == (200, CONTENT)
    by_key = await gateways.get(made.path, params={"key": made.key})
    assert by_key.content == CONTENT


async def test_a_flood_of_wrong_keys_is_looked_up_no_more(
    ota: Resources, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)  # each minute of the clock has room for more
    address = "203.0.113.7"
    downloads = replace(ota.downloads, wrong_keys=new_wrong_keys(3))
    assert (await downloads.by_key(served.filepath, served.key, address)).etag
    for number, status in enumerate((404, 404, 404, 429)):
        with pytest.raises(MyMoteError) as refused:
            await downloads.by_key(served.filepath, f"guess {number}", address)
        assert refused.value.status == status
    assert refused.value.retry_after is not None
    # Who has downloaded before goes on, beside whoever guesses.
    assert (await downloads.by_key(served.filepath, served.key, address)).etag


async def test_behind_a_trusted_proxy_its_client_is_who_calls(
    gateways: httpx.AsyncClient, ota: Resources, served: Served, alice: Customer
) -> None:
    began = time.time()
    address = "198.51.100.23"
    headers = {"X-Forwarded-For": address}
    reply = await gateways.get(served.path, params={"key": "x" * 32}, headers=headers)
    assert reply.status_code == 404
    found = await records(ota, alice.user_id, "downloadRefused", began)
    assert address in [each.address for each in found]
