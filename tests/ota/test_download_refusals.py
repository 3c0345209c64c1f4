"""Downloads that are refused: never a byte, a sentence that helps, a record on the audit log."""

import hashlib
import json
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.api.logic import intervals, pairing
from services.api.logic.manufacturing import Manufactured
from services.api.resources import Resources as ApiResources
from services.ota.logic import proof, tickets
from services.ota.resources import Resources
from shared import point
from shared.database import JOBS
from shared.schemas.audit import PLATFORM
from shared.schemas.jobs import ENDS, Job, JobState
from tests.api.customers import Customer, new_gateway, pairing_request
from tests.ota.order_calls import Orders
from tests.ota.served_files import (
    Ordered,
    Served,
    order,
    records,
    serve_app,
    serve_firmware,
    store_blob,
)

CONTENT = hashlib.shake_256(b"a secret app").digest(100_000)


@pytest.fixture(scope="module")
async def served(ota: Resources, alice: Customer) -> Served:
    return await serve_app(ota, alice.user_id, CONTENT)


@pytest.fixture(scope="module")
async def ordered(
    resources: ApiResources, ota: Resources, served: Served, alice: Customer, pump: Manufactured
) -> Ordered:
    return await order(resources, ota, served, alice, pump)


def refused(reply: httpx.Response, status: int, words: str) -> None:
    assert reply.status_code == status
    assert words in reply.json()["error"]
    assert CONTENT[:16] not in reply.content
    assert reply.headers["Cache-Control"] == "no-store"


async def test_a_wrong_key_and_an_unknown_file_are_told_the_same(
    gateways: httpx.AsyncClient, ota: Resources, served: Served, alice: Customer
) -> None:
    began = time.time()
    wrong = await gateways.get(served.path, params={"key": "x" * 32})
    refused(wrong, 404, "download_key")
    unknown = await gateways.get(served.path.replace(".bin", "0.bin"), params={"key": served.key})
    assert (unknown.status_code, unknown.content) == (wrong.status_code, wrong.content)
    refused(await gateways.get(served.path), 403, "X-Download-Key")
    (record,) = await records(ota, alice.user_id, "downloadRefused", began)
    assert (record.status, record.actor_kind) == (404, "stranger")
    assert served.filepath.endswith(f"{record.targets['appversionid']}.bin")
    assert len(await records(ota, PLATFORM, "downloadRefused", began)) == 2


async def test_what_is_no_version_is_no_file(
    gateways: httpx.AsyncClient, alice: Customer, served: Served, orders: Orders
) -> None:
    for path in (
        f"apps/{alice.user_id}/{orders.shelf.app_id}.bin",  # an app
        f"apps/{alice.user_id}/{alice.user_id}.bin",
        f"apps/{alice.user_id}",
        "firmware/none.bin",
        "",
    ):
        reply = await gateways.get(f"/download/{path}", params={"key": served.key})
        refused(reply, 404, "no file of this path")
    refused(await gateways.post(served.path, params={"key": served.key}), 405, "method")


async def test_a_ticket_needs_the_devices_own_proof(
    gateways: httpx.AsyncClient, ota: Resources, ordered: Ordered, alice: Customer
) -> None:
    began = time.time()
    ticket = {"ticket": ordered.ticket}
    old = proof.make(
        ordered.device_key,
        method="GET",
        path=ordered.path,
        ticket=ordered.ticket,
        now=datetime.now(UTC) - timedelta(minutes=11),
    )
    said = []
    for headers, words in (
        ({}, "X-Device-Proof is missing"),
        ({proof.HEADER: "1"}, "Unix seconds"),
        (ordered.headers(key="0" * 64), "this device's key"),
        (ordered.headers("HEAD"), "this very method"),
        (ordered.headers(path=ordered.path + "/"), "path"),
        ({proof.HEADER: old}, "clock"),
    ):
        reply = await gateways.get(ordered.path, params=ticket, headers=headers)
        refused(reply, 403, words)
        said.append(reply.json()["error"])
    found = await records(ota, alice.user_id, "ticketRefused", began)
    assert sorted(each.reason for each in found) == sorted(said)
    assert {each.actor_kind for each in found} == {"stranger"}
    assert found[0].device_ids == [ordered.job.device_id]
    assert found[0].targets == {"jobid": ordered.job.id}


async def test_a_ticket_of_another_device_is_refused(
    gateways: httpx.AsyncClient,
    resources: ApiResources,
    ota: Resources,
    ordered: Ordered,
    bob: Customer,
    boiler: Manufactured,
) -> None:
    began = time.time()
    other = await serve_app(ota, bob.user_id, b"bob's app")
    bobs = await order(resources, ota, other, bob, boiler)
    ticket = {"ticket": ordered.ticket}
    # With its own key and path, with its own key on the other's path: nothing helps.
    own = bobs.headers(ticket=ordered.ticket)
    refused(await gateways.get(bobs.path, params=ticket, headers=own), 403, "another device")
    theirs = bobs.headers(ticket=ordered.ticket, path=ordered.path)
    refused(await gateways.get(ordered.path, params=ticket, headers=theirs), 403, "device's key")
    (record,) = await records(ota, bob.user_id, "ticketRefused", began)
    assert (record.device_ids, record.status) == ([boiler.device_id], 403)


async def test_what_is_no_ticket_is_refused(
    gateways: httpx.AsyncClient, ota: Resources, ordered: Ordered
) -> None:
    began = time.time()
    path = tickets.path_of(f"X400_{'0' * 40}", ordered.job.id)
    refused(await gateways.get(path), 403, "ticket is missing")
    forged = f"{ordered.ticket[:-1]}{'A' if ordered.ticket[-1] != 'A' else 'B'}"
    refused(await gateways.get(path, params={"ticket": forged}), 403, "no ticket")
    for device_id in ("X" * 3000, "a%23b", "%00X", "%20"):  # no id of the database's
        await gateways.get(f"/devices/{device_id}/jobs/1/file")
    found = await records(ota, PLATFORM, "ticketRefused", began)
    assert [each.device_ids for each in found] == [[]] * 5  # there is no such device
    assert {json.dumps(each.targets) for each in found} == {"{}"}


@pytest.mark.parametrize("state", sorted(ENDS))
async def test_a_ticket_dies_with_its_job(
    gateways: httpx.AsyncClient,
    resources: ApiResources,
    ota: Resources,
    served: Served,
    alice: Customer,
    pump: Manufactured,
    state: JobState,
) -> None:
    began = time.time()
    finished = await order(resources, ota, served, alice, pump)
    ticket = {"ticket": finished.ticket}
    granted = await gateways.head(finished.path, params=ticket, headers=finished.headers("HEAD"))
    assert granted.status_code == 200
    jobs = ota.azure.database.get_container_client(JOBS.name)
    job, etag = await point.read(jobs, Job, finished.job.id, alice.user_id) or (None, "")
    assert job is not None
    await point.replace(jobs, job.model_copy(update={"state": state}), etag)
    reply = await gateways.get(finished.path, params=ticket, headers=finished.headers())
    refused(reply, 403, f"has ended: {state.replace('_', ' ')}")
    (record,) = await records(ota, alice.user_id, "ticketRefused", began)
    assert (record.actor_kind, record.actor_id) == ("device", pump.device_id)


async def test_an_expired_ticket_and_one_for_another_file_are_refused(
    gateways: httpx.AsyncClient,
    resources: ApiResources,
    ota: Resources,
    served: Served,
    alice: Customer,
    pump: Manufactured,
) -> None:
    late = await order(resources, ota, served, alice, pump, life=timedelta(seconds=-1))
    reply = await gateways.get(late.path, params={"ticket": late.ticket}, headers=late.headers())
    refused(reply, 403, "expired")
    other = tickets.make(
        ota.settings.ota_ticket_key,
        user_id=late.job.user_id,
        device_id=late.job.device_id,
        job_id=late.job.id,
        sha256="0" * 64,
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    headers = late.headers(ticket=other)
    reply = await gateways.get(late.path, params={"ticket": other}, headers=headers)
    refused(reply, 403, "another file")


async def test_a_device_that_changed_hands_gets_nothing(
    gateways: httpx.AsyncClient,
    resources: ApiResources,
    stores: pairing.Stores,
    ota: Resources,
    served: Served,
    alice: Customer,
    bob: Customer,
) -> None:
    sold = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, sold))
    left = await order(resources, ota, served, alice, sold)
    await pairing.unpair(stores, alice.user_id, sold.device_id)
    ticket = {"ticket": left.ticket}
    refused(await gateways.get(left.path, params=ticket, headers=left.headers()), 403, "left")
    for owner in (bob, alice):  # with the same account again, it is another pairing
        await pairing.pair(stores, pairing_request(owner, sold))
        reply = await gateways.get(left.path, params=ticket, headers=left.headers())
        refused(reply, 403, "left")
        await pairing.unpair(stores, owner.user_id, sold.device_id)


async def test_while_a_device_leaves_the_pairing_itself_tells_who_has_it(
    gateways: httpx.AsyncClient,
    resources: ApiResources,
    stores: pairing.Stores,
    ota: Resources,
    served: Served,
    alice: Customer,
    bob: Customer,
) -> None:
    sold = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, sold))
    left = await order(resources, ota, served, alice, sold)
    found = await resources.devices.get_with_etag(alice.user_id, sold.device_id)
    assert found is not None
    leaving = found[0].model_copy(update={"phase": "unpairing"})
    await resources.devices.put(leaving, found[1])

    async def ask() -> httpx.Response:
        head = left.headers("HEAD")
        return await gateways.head(left.path, params={"ticket": left.ticket}, headers=head)

    assert (await ask()).status_code == 200
    gateway = await resources.gateways.get(sold.device_id)
    assert gateway is not None
    await resources.gateways.replace(intervals.ended(gateway[0], datetime.now(UTC)), gateway[1])
    assert (await ask()).status_code == 403  # whoever took it away has got no further
    await pairing.pair(stores, pairing_request(bob, sold))
    assert (await ask()).status_code == 403


@pytest.mark.parametrize("kind", ["app", "firmware"])
async def test_a_blob_that_was_changed_is_not_handed_out(
    gateways: httpx.AsyncClient,
    client: httpx.AsyncClient,
    resources: ApiResources,
    ota: Resources,
    alice: Customer,
    pump: Manufactured,
    kind: str,
) -> None:
    served = await (
        serve_app(ota, alice.user_id, CONTENT) if kind == "app" else serve_firmware(ota, CONTENT)
    )
    made = await order(resources, ota, served, alice, pump)
    ticket = {"ticket": made.ticket}
    before = await gateways.get(made.path, params=ticket, headers=made.headers())
    assert before.content == CONTENT  # and its chunks are kept now
    began = time.time()
    await store_blob(ota, served.filepath, CONTENT[:-1] + b"!")
    by_ticket = await gateways.get(made.path, params=ticket, headers=made.headers())
    refused(by_ticket, 409, "changed in storage")
    refused(await gateways.get(served.path, params={"key": served.key}), 409, "changed in storage")
    whose = alice.user_id if kind == "app" else PLATFORM
    first, second = await records(ota, whose, "tamperedBlob", began)
    assert (first.actor_kind, first.device_ids) == ("device", [pump.device_id])
    assert (second.actor_kind, second.device_ids) == ("stranger", [])
    if kind == "app":
        shown = await client.get(f"{alice.base}/audit", params={"operation": "tamperedBlob"})
        assert [each["id"] for each in shown.json()["items"]][:2] == [second.id, first.id]


async def test_a_blob_that_is_gone_is_not_found(
    gateways: httpx.AsyncClient, ota: Resources, alice: Customer
) -> None:
    served = await serve_app(ota, alice.user_id, CONTENT)
    container = ota.azure.blob.get_container_client(ota.settings.ota_container)
    await container.delete_blob(served.filepath)
    reply = await gateways.get(served.path, params={"key": served.key})
    refused(reply, 404, "not in storage")
