"""Takes what the event stream says of devices to their jobs.

An event may come again, late, or never. So a report counts by its `$version` alone, what is more
than a report makes somebody look at the twin, and each job has a time when it is looked at anyway.
"""

import asyncio
import logging
from collections.abc import Sequence

from services.ota.logic import job_rules as rules
from services.ota.logic.ownership import accounts_with_jobs
from services.ota.logic.reports import News
from services.ota.logic.worker import TRIES, Worker
from shared.schemas.jobs import Job, JobKind

log = logging.getLogger(__name__)


async def follow(worker: Worker, device_id: str, news: Sequence[News]) -> None:
    """Apply some events of a device. Raises Unavailable; then nothing is lost by doing it again."""
    gateway = await worker.stores.gateways.get(device_id)
    look = any(each.look for each in news)
    kinds = [kind for kind in JobKind if look or any(kind in each.reports for each in news)]
    for user_id in accounts_with_jobs(gateway):
        await asyncio.gather(*(_follow(worker, user_id, device_id, kind, news) for kind in kinds))


async def _follow(
    worker: Worker, user_id: str, device_id: str, kind: JobKind, news: Sequence[News]
) -> None:
    slot = await worker.stores.jobs.slot(user_id, device_id, kind)
    if slot is None:
        return
    job = await _heard(worker, user_id, slot.slot.job_id, kind, news)
    if job is None or job.due_at is None:
        return
    if any(each.look for each in news) or job.due_at <= worker.clock():
        connected = any(each.connected for each in news)
        await worker.look(user_id, job.id, connected=connected)


async def _heard(
    worker: Worker, user_id: str, job_id: str, kind: JobKind, news: Sequence[News]
) -> Job | None:
    """The job after the reports; None where it needs nobody."""
    for _ in range(TRIES):
        held = await worker.stores.jobs.get(user_id, job_id)
        if held is None or held.job.due_at is None:
            return None
        now = worker.clock()
        job = held.job
        for each in news:
            if kind in each.reports:
                job = rules.heard(job, each.reports[kind], each.version, now, worker.limits)
        if job is held.job:
            return job
        written = await worker.stores.jobs.replace(held, rules.scheduled(job, now, worker.limits))
        if written is not None:
            return written.job
    log.warning("a report is left to the next look at its job", extra={"job_id": job_id})
    return None
