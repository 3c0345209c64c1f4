"""The ends that time, the device's owner and newer orders bring, on the local stack.

Waits of minutes and days pass by a clock: the test looks at the job itself, as the service would.
"""

from dataclasses import replace
from datetime import timedelta

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.api.logic import pairing
from services.api.logic.manufacturing import Manufactured
from services.ota.logic import reasons
from services.ota.logic.signing import Signable, Signer, SigningKey
from services.ota.logic.worker import Worker
from services.ota.resources import Resources
from shared.schemas.jobs import Job, JobState
from stack.local import LocalStack
from tests.api.customers import Customer, pairing_request
from tests.ota.order_calls import APP, Orders
from tests.ota.order_gateway import OrderedGateway, connected


async def _look(orders: Orders, job: Job, later: timedelta) -> None:
    """As a process of the service does whose clock is ahead."""
    there = orders.ota.worker
    ahead = Worker(there.stores, there.limits, there.addresses, lambda: there.clock() + later)
    await ahead.look(job.user_id, job.id)


async def _stands_in_the_twin(orders: Orders, job_id: str) -> Job:
    """The job of a gateway that is away, when nothing is left to do for an hour."""
    far = timedelta(minutes=30)
    job = await orders.until(job_id, lambda job: (job.due_at or job.state_at) > job.state_at + far)
    assert job.state is JobState.SENT
    return job


async def test_an_offline_gateway_gets_its_order_with_a_fresh_ticket_when_it_returns(
    stack: LocalStack, orders: Orders, device: Manufactured
) -> None:
    job_id = await orders.app(device.device_id)
    job = await _stands_in_the_twin(orders, job_id)
    assert job.expires_at is not None
    assert job.reason == (
        "The gateway is not connected and never was; it gets the order when it connects, until "
        f"{job.expires_at:%Y-%m-%d %H:%M} UTC."
    )
    expired = job.model_copy(update={"ticket_expires_at": job.state_at})
    stale = _order_of(await orders.desired(job))
    # Its ticket is an hour old by now.
    desired = stale | {"url": orders.ota.worker.addresses.of(expired)}
    await orders.ota.hub.patch_twin(device.device_id, desired={"ota_app": desired})
    port, bind = stack.settings.mqtt_port, stack.settings.bind
    async with connected(device.device_connection_string, bind, port) as gateway:
        # It may have asked before the service heard that it is back.
        while (fresh := await gateway.order())["url"] == desired["url"]:
            pass
        assert fresh | {"url": ""} == desired | {"url": ""}
        # It had tried the old one.
        gateway.says(job_id, "accepted")
        await orders.reaches(job_id, JobState.ACCEPTED)
        assert (await orders.job(job_id)).attempt == 1
    assert (await orders.cancel(job_id)).status_code == 200
    job = await orders.tidied(job_id, JobState.CANCELLED)
    assert job.reason == "Cancelled by the dashboard."
    assert (await orders.cancel(job_id)).status_code == 409
    assert (await orders.cancel("none")).status_code == 404


async def test_a_newer_order_takes_the_place_of_an_older_one_of_its_kind(
    orders: Orders, device: Manufactured, gateway: OrderedGateway
) -> None:
    firmware = await orders.firmware(device.device_id)
    older = await orders.app(device.device_id, "1.0.0")
    await orders.reaches(older, JobState.SENT)
    newer = await orders.app(device.device_id, "1.1.0")
    assert (await orders.job(older)).state is JobState.SUPERSEDED
    # The older one may be taken back before the newer one comes.
    while (order := await gateway.order()) is None or order["job"] != newer:
        pass
    gateway.says(older, "succeeded", 100)
    gateway.report(app_name=APP, app_version="1.0.0")
    gateway.says(newer, "succeeded", 100)
    gateway.report(app_version="1.1.0", fwversion="2.0.0")
    assert (await orders.tidied(newer, JobState.SUCCEEDED)).reason.endswith("1.1.0.")
    superseded = await orders.job(older)
    assert superseded.state is JobState.SUPERSEDED
    assert superseded.reason == f"A newer order took its place: {APP} 1.1.0, job {newer}."
    assert (await orders.job(firmware)).state is JobState.SENT
    gateway.says(firmware, "succeeded", 100, kind="firmware")
    job = await orders.tidied(firmware, JobState.SUCCEEDED)
    assert (await orders.entry(job)).event == "firmware_installed"


async def test_a_failure_is_tried_again_until_there_were_enough(
    orders: Orders, device: Manufactured, gateway: OrderedGateway
) -> None:
    job_id = await orders.app(device.device_id)
    addresses = set()
    for attempt in (1, 2, 3):
        addresses.add((await gateway.order())["url"])
        # The twin goes on showing the failure before, which is none of this attempt.
        gateway.report(connectivity=f"2G, attempt {attempt}")
        await _look(orders, await orders.reaches(job_id, JobState.SENT), timedelta())
        assert (await orders.job(job_id)).attempt == attempt
        gateway.says(job_id, "accepted")
        gateway.says(job_id, "failed", 40, "power_lost: while writing")
        if attempt < 3:
            await orders.reaches_attempt(job_id, attempt + 1)
    job = await orders.tidied(job_id, JobState.FAILED)
    assert job.reason.startswith("Given up after 3 attempts: The gateway lost its power while")
    assert len(addresses) == 3
    tried = [step for step in job.steps if step.state is JobState.QUEUED]
    assert [step.attempt for step in tried] == [1, 2, 3]
    assert tried[1].reason.startswith("Attempt 1 of 3 failed: The gateway lost its power")
    gateway.says(job_id, "succeeded", 100)
    gateway.report(app_name=APP, app_version="1.0.0")
    other = await orders.app(device.device_id)  # by then the event of the report has passed
    await orders.reaches(other, JobState.SENT)
    assert (await orders.job(job_id)).state is JobState.FAILED
    await orders.cancel(other)


async def test_a_refusal_is_an_end_with_the_gateways_reason(
    orders: Orders, device: Manufactured, gateway: OrderedGateway
) -> None:
    job_id = await orders.app(device.device_id)
    await gateway.order()
    gateway.says(job_id, "rejected", 0, "too_large: 300000 bytes")
    job = await orders.tidied(job_id, JobState.REJECTED)
    assert job.reason.startswith("It is larger than the gateway's memory")
    assert "300000 bytes" in job.reason


async def test_a_gateway_that_never_answers_is_asked_again_and_then_given_up(
    orders: Orders, device: Manufactured, gateway: OrderedGateway
) -> None:
    job_id = await orders.app(device.device_id)
    job = await orders.reaches(job_id, JobState.SENT)
    for attempt in (1, 2, 3):
        await _look(orders, job, timedelta(seconds=61 * attempt))
    job = await orders.tidied(job_id, JobState.TIMED_OUT)
    assert job.reason.startswith("The gateway is connected but did not answer the order")
    assert [step.state for step in job.steps] == [
        *(JobState.QUEUED, JobState.SENT) * 3,
        JobState.TIMED_OUT,
    ]


async def test_a_download_that_stands_still_says_where(
    orders: Orders, device: Manufactured, gateway: OrderedGateway
) -> None:
    job_id = await orders.app(device.device_id)
    await orders.reaches(job_id, JobState.SENT)
    gateway.says(job_id, "downloading", 50)
    job = await orders.reaches(job_id, JobState.DOWNLOADING)
    await _look(orders, job, timedelta(seconds=301))
    job = await orders.reaches(job_id, JobState.SENT)
    asked_again = [step.reason for step in job.steps if step.state is JobState.QUEUED][-1]
    assert "stands still at 50 % of the download for 5 minutes" in asked_again
    await orders.cancel(job_id)


async def test_a_version_that_is_not_there_is_no_success(
    orders: Orders, device: Manufactured, gateway: OrderedGateway
) -> None:
    gateway.report(app_name=APP, app_version="1.0.0")
    job_id = await orders.app(device.device_id, "1.1.0")
    await orders.reaches(job_id, JobState.SENT)
    gateway.says(job_id, "succeeded", 100)
    job = await orders.reaches(job_id, JobState.INSTALLING)
    await _look(orders, job, timedelta(seconds=301))
    job = await orders.tidied(job_id, JobState.FAILED)
    assert job.reason.startswith(
        "The gateway says that it installed 1.1.0 but still reports 1.0.0."
    )


async def test_an_app_of_another_name_is_no_success(
    orders: Orders, device: Manufactured, gateway: OrderedGateway
) -> None:
    job_id = await orders.app(device.device_id, "1.1.0")
    await orders.reaches(job_id, JobState.SENT)
    gateway.report(app_name="pump", app_version="1.1.0")
    gateway.says(job_id, "succeeded", 100)
    job = await orders.reaches(job_id, JobState.INSTALLING)
    await _look(orders, job, timedelta(seconds=301))
    job = await orders.tidied(job_id, JobState.FAILED)
    assert "its app calls itself 'pump' and not 'Pump control'" in job.reason


async def test_a_gateway_that_does_not_connect_is_given_up_after_a_week(
    orders: Orders, device: Manufactured
) -> None:
    job_id = await orders.app(device.device_id)
    job = await _stands_in_the_twin(orders, job_id)
    await _put_off(orders, job)
    await _look(orders, job, timedelta(days=6, hours=23))
    assert (await orders.job(job_id)).state is JobState.SENT
    await _look(orders, job, timedelta(days=7))
    job = await orders.tidied(job_id, JobState.TIMED_OUT)
    assert job.reason.startswith("The gateway did not connect for 7 days.")


async def test_unpairing_ends_orders_and_leaves_none_to_the_next_owner(
    orders: Orders,
    stores: pairing.Stores,
    device: Manufactured,
    gateway: OrderedGateway,
    alice: Customer,
    bob: Customer,
) -> None:
    job_id = await orders.app(device.device_id)
    assert (await gateway.order())["job"] == job_id
    # That of another kind is no job's: unpairing alone removes it.
    left = {"ota_firmware": {"job": "of another time"}}
    await orders.ota.hub.patch_twin(device.device_id, desired=left)
    await pairing.unpair(stores, alice.user_id, device.device_id)
    assert await gateway.order() is None
    assert "ota_firmware" not in (await orders.ota.hub.get_twin(device.device_id)).desired
    job = await orders.tidied(job_id, JobState.CANCELLED)
    assert job.reason == "The gateway was unpaired."
    await orders.ota.hub.patch_twin(device.device_id, desired=left)
    await pairing.pair(stores, pairing_request(bob, device, "Theirs"))
    assert "ota_firmware" not in (await orders.ota.hub.get_twin(device.device_id)).desired
    await orders.app(device.device_id, status=404)


async def test_what_is_no_order_makes_none(
    orders: Orders, ota_client: httpx.AsyncClient, device: Manufactured
) -> None:
    base = f"/internal/accounts/{orders.shelf.user_id}/devices/{device.device_id}"
    order = {"id": "one", "app_id": orders.shelf.app_id, "version_id": "none"}
    assert (await ota_client.post(f"{base}/app-orders", json=order)).status_code == 404
    assert (await ota_client.post(f"{base}/app-orders", json={"id": "one"})).status_code == 400
    wrong = {"id": "one", "firmware_id": "none"}
    assert (await ota_client.post(f"{base}/firmware-orders", json=wrong)).status_code == 404
    await orders.app("X400_none", status=404)


async def test_what_is_being_deleted_is_not_ordered_and_what_is_ordered_is_not_deleted(
    orders: Orders, ota_client: httpx.AsyncClient, ota: Resources, device: Manufactured
) -> None:
    shelf = orders.shelf
    path = f"/internal/accounts/{shelf.user_id}/apps/{shelf.app_id}/versions"
    version = shelf.versions["1.0.0"]
    job_id = await orders.app(device.device_id)
    reply = await ota_client.delete(f"{path}/{version.id}")
    assert reply.status_code == 409
    assert job_id in reply.json()["error"]
    await orders.cancel(job_id)
    held = await ota.stores.apps.version(shelf.user_id, version.id)
    assert held is not None
    marked = held.version.model_copy(update={"deleting": True})
    etag = await ota.stores.apps.replace_version(marked, held.etag)
    assert etag is not None
    await orders.app(device.device_id, status=404)
    await ota.stores.apps.replace_version(held.version, etag)


async def test_what_was_changed_since_its_upload_is_not_signed_for_a_gateway(
    orders: Orders, ota: Resources, device: Manufactured
) -> None:
    """Somebody who can write the database, and has no key, puts another file's hash there."""
    job = await _stands_in_the_twin(orders, await orders.app(device.device_id))
    held = await ota.stores.apps.version(orders.shelf.user_id, job.artifact_id)
    assert held is not None
    changed = held.version.model_copy(update={"sha256": "ab" * 32})
    etag = await ota.stores.apps.replace_version(changed, held.etag)
    assert etag is not None
    await orders.app(device.device_id, status=409)
    await orders.app(device.device_id, order_id=job.id)  # sent again, it is the job that was made
    # The order is to be written again.
    await ota.hub.patch_twin(device.device_id, desired={"ota_app": None})
    await _look(orders, job, timedelta())
    job = await orders.tidied(job.id, JobState.FAILED)
    assert job.reason == reasons.UNSIGNED
    await ota.stores.apps.replace_version(held.version, etag)


async def test_an_order_is_signed_by_todays_key_under_the_apps_name_of_today(
    orders: Orders, ota: Resources
) -> None:
    app_id, version = orders.shelf.app_id, orders.shelf.versions["1.0.0"]
    forerunner = SigningKey(Ed25519PrivateKey.generate())
    rotated = Signer([forerunner, *ota.signer.keys])
    installables = replace(ota.worker.stores.installables, signer=rotated)
    found = await installables.app_version(orders.shelf.user_id, app_id, version.id)
    assert found is not None
    signature = installables.signature(found, "Pump control 2")
    signable = Signable("app", "Pump control 2", "1.0.0", version.size, version.sha256)
    assert signature is not None
    assert forerunner.made(signature, signable.text)
    without = replace(installables, signer=Signer([forerunner]))
    assert without.signature(found, found.name) is None
    older = replace(found, document=version.model_copy(update={"app_name": ""}))
    assert installables.signature(older, found.name) is not None


async def _put_off(orders: Orders, job: Job) -> None:
    """Nobody looks at a job that is put off; only one that is due can be."""
    due, hour = job.due_at, timedelta(hours=1)
    assert due is not None
    for now, then in ((due - hour, due), (due, due + hour), (due, due + hour)):
        await orders.ota.worker.stores.jobs.postpone(job.user_id, job.id, now, due + hour)
        assert (await orders.job(job.id)).due_at == then


def _order_of(value: object) -> dict[str, object]:
    assert isinstance(value, dict)
    return value
