"""Orders to install something, and taking them back.

The order's id is the job's: sent again, it makes nothing twice. The job, its device's slot and the
end of the job that was there are one transaction, so that of any two orders one is the newer.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.ota import metrics
from services.ota.logic import job_rules as rules
from services.ota.logic import reasons
from services.ota.logic.installables import Installable
from services.ota.logic.ownership import pairing_of
from services.ota.logic.worker import Worker
from services.ota.store.jobs import Held, HeldSlot, Ordered
from shared.errors import Conflict, NotFound, Unavailable
from shared.schemas.jobs import ENDS, Job, JobState

TRIES = 10
# The newer order takes the place of the older one in the twin; only then the older one is tidied.
SUPERSEDED_LOOK = timedelta(seconds=5)
_NO_DEVICE = "This account has no device of this id."


@dataclass(frozen=True)
class Order:
    """Which device is meant, by whom, and under which id: the same id is the same order."""

    id: str
    user_id: str
    device_id: str
    ordered_by: str


async def order_app(worker: Worker, order: Order, app_id: str, version_id: str) -> Job:
    """Have a device install a version of an app. Raises NotFound, Conflict, Unavailable."""
    installables = worker.stores.installables
    found = await installables.app_version(order.user_id, app_id, version_id)
    return await _order(worker, order, found)


async def order_firmware(worker: Worker, order: Order, firmware_id: str) -> Job:
    """Have a device install a firmware. Raises as `order_app`."""
    found = await worker.stores.installables.firmware_version(firmware_id)
    return await _order(worker, order, found)


async def cancel(worker: Worker, user_id: str, job_id: str, cancelled_by: str) -> Job:
    """Take an order back. Raises NotFound, Conflict where that is too late, Unavailable."""
    for _ in range(TRIES):
        held = await worker.stores.jobs.get(user_id, job_id)
        if held is None:
            raise NotFound("This account has no job of this id.")
        if held.job.state in ENDS:
            raise Conflict(f"This job has ended already: {_words(held.job.state)}.")
        if held.job.state is JobState.INSTALLING:
            raise Conflict("The gateway is installing already; wait for the job's end.")
        cancelled = await _cancelled(worker, held, reasons.cancelled(cancelled_by))
        if cancelled is not None:
            return cancelled
    raise _contended()


async def _order(worker: Worker, order: Order, found: Installable | None) -> Job:
    gone = found is None or found.document.deleting
    if found is None or gone or worker.stores.installables.signature(found, found.name) is None:
        again = await _made_before(worker, order)
        if again is not None:
            return again
        raise _gone() if gone else Conflict(reasons.UNSIGNED)
    job = await _make(worker, order, found)
    # Whoever deletes marks the artifact first and looks for jobs then; here it is the other way
    # round, so that one of the two sees the other.
    there = await worker.stores.installables.of_job(job)
    if (there is None or there.document.deleting) and job.state not in ENDS:
        await _withdraw(worker, job)
        raise _gone()
    worker.wake(job)
    return job


async def _make(worker: Worker, order: Order, found: Installable) -> Job:
    jobs = worker.stores.jobs
    for _ in range(TRIES):
        gateway = await worker.stores.gateways.get(order.device_id)
        pairing = pairing_of(gateway, order.user_id)
        if gateway is None or pairing is None:
            raise NotFound(_NO_DEVICE)
        if found.type and found.type != gateway.type:
            raise Conflict(
                f"This firmware is for gateways of type {found.type}; the device is a "
                f"{gateway.type}. GET .../firmware lists what there is."
            )
        now = worker.clock()
        slot = await jobs.slot(order.user_id, order.device_id, found.kind)
        job = _new(order, found, pairing.started_at, now)
        job = job.model_copy(update={"expires_at": now + worker.limits.order_life})
        match await jobs.order(job, slot, await _superseded(worker, slot, job, now)):
            case Ordered.DONE:
                metrics.ORDERS.labels(job.kind).inc()
                return job
            case Ordered.EXISTS:
                return await _same(worker, order, found)
    raise _contended()


def _new(order: Order, found: Installable, paired_at: datetime, now: datetime) -> Job:
    document = found.document
    job = Job(
        id=order.id,
        user_id=order.user_id,
        kind=found.kind,
        device_id=order.device_id,
        paired_at=paired_at,
        app_id=found.app_id,
        artifact_id=document.id,
        name=found.name,
        version=document.version,
        size=document.size,
        md5=document.sig_md5,
        sha256=document.sha256,
        filepath=document.filepath,
        blob_etag=document.blob_etag,
        ordered_by=order.ordered_by,
        created_at=now,
        state_at=now,
        due_at=now,
    )
    return rules.begun(job, now)


async def _superseded(
    worker: Worker, slot: HeldSlot | None, newer: Job, now: datetime
) -> Held | None:
    """The job in a slot as a newer order leaves it; None where it had its end."""
    if slot is None:
        return None
    held = await worker.stores.jobs.get(slot.slot.user_id, slot.slot.job_id)
    if held is None or held.job.state in ENDS:
        return None
    job = rules.ended(held.job, JobState.SUPERSEDED, reasons.superseded(newer), now)
    return Held(job.model_copy(update={"due_at": now + SUPERSEDED_LOOK}), held.etag)


async def _made_before(worker: Worker, order: Order) -> Job | None:
    """The job of an order that is sent again, when nothing can be ordered of it any more."""
    held = await worker.stores.jobs.get(order.user_id, order.id)
    return held.job if held is not None and held.job.device_id == order.device_id else None


async def _same(worker: Worker, order: Order, found: Installable) -> Job:
    """The job that has the order's id. Raises Conflict where it is another order's."""
    held = await worker.stores.jobs.get(order.user_id, order.id)
    if held is None:
        raise _contended()
    job = held.job
    if (job.device_id, job.kind, job.artifact_id) != (
        order.device_id,
        found.kind,
        found.document.id,
    ):
        raise Conflict("Another order has this id; give each order an id of its own.")
    return job


async def _withdraw(worker: Worker, job: Job) -> None:
    """Take back the order of what is being deleted, unless it has its end by now."""
    for _ in range(TRIES):
        held = await worker.stores.jobs.get(job.user_id, job.id)
        if held is None or held.job.state in ENDS:
            return
        if await _cancelled(worker, held, reasons.GONE) is not None:
            return
    raise _contended()


async def _cancelled(worker: Worker, held: Held, reason: str) -> Job | None:
    """None where it changed since it was read."""
    now = worker.clock()
    job = rules.ended(held.job, JobState.CANCELLED, reason, now)
    written = await worker.stores.jobs.replace(held, job.model_copy(update={"due_at": now}))
    if written is not None:
        worker.wake(written.job)
    return written.job if written is not None else None


def _gone() -> NotFound:
    return NotFound("There is no such version any more, or it is being deleted.")


def _contended() -> Unavailable:
    return Unavailable("Others order for this device at the same moment; try again in a second.")


def _words(state: JobState) -> str:
    return state.replace("_", " ")
