"""Orders from the api's call to the device's reported version, on the local stack."""

from services.api.logic.manufacturing import Manufactured
from shared.schemas.jobs import JobState
from tests.ota.order_calls import APP, Orders
from tests.ota.order_gateway import OrderedGateway


async def test_an_app_is_ordered_and_installed(
    orders: Orders, device: Manufactured, gateway: OrderedGateway
) -> None:
    job_id = await orders.app(device.device_id)
    order = await gateway.order()
    version = orders.shelf.versions["1.0.0"]
    assert order.pop("url").startswith(
        f"{orders.ota.settings.ota_public_url}/devices/{device.device_id}/jobs/{job_id}/file?"
    )
    assert order == {
        "job": job_id,
        "name": APP,
        "version": "1.0.0",
        "size": version.size,
        "md5": version.sig_md5,
        "sha256": version.sha256,
        "signature": version.signature,
    }
    gateway.says(job_id, "accepted")
    # A look at the twin, such as of a connection, passes over what was said and is no longer there.
    await orders.reaches(job_id, JobState.ACCEPTED)
    for percent in (0, 25, 100):
        gateway.says(job_id, "downloading", percent)
    await orders.until(job_id, lambda job: job.percent == 100)
    gateway.says(job_id, "installing", 100)
    gateway.says(job_id, "succeeded", 100)
    job = await orders.reaches(job_id, JobState.INSTALLING)
    assert (await orders.cancel(job_id)).status_code == 409
    await orders.until(job_id, lambda job: "has yet to report" in job.reason)
    gateway.report(app_name=APP, app_version="1.0.0")
    job = await orders.tidied(job_id, JobState.SUCCEEDED)
    assert [step.state for step in job.steps if step.state is not JobState.INSTALLING] == [
        JobState.QUEUED,
        JobState.SENT,
        JobState.ACCEPTED,
        JobState.DOWNLOADING,
        JobState.SUCCEEDED,
    ]
    assert (await orders.entry(job)).event == "app_installed"
    # The same order once more is the same job, which has ended.
    await orders.app(device.device_id, order_id=job_id)
    assert (await orders.job(job_id)).finished_at == job.finished_at
    await orders.app(device.device_id, "1.1.0", order_id=job_id, status=409)
