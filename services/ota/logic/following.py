"""Takes what the event stream says of devices to their jobs.

An event may come again, late, or never. So a report counts by its `$version` alone, what is more
than a report makes somebody look at the twin, and each job has a time when it is looked at anyway.
"""

import asyncio
import logging

from services.ota.logic import job_rules as rules
from services.ota.logic.ownership import accounts_with_jobs
from services.ota.logic.reports import News, Report
from services.ota.logic.worker import TRIES, Worker
from shared.schemas.jobs import ENDS, Job, JobKind

log = logging.getLogger(__name__)


async def follow(worker: Worker, device_id: str, news: News) -> None:
    """Apply one event. Raises Unavailable; then nothing is lost by doing it again."""
    gateway = await worker.stores.gateways.get(device_id)
    kinds = list(JobKind) if news.look else list(news.reports)
    for user_id in accounts_with_jobs(gateway):
        await asyncio.gather(*(_follow(worker, user_id, device_id, kind, news) for kind in kinds))


async def _follow(worker: Worker, user_id: str, device_id: str, kind: JobKind, news: News) -> None:
    slot = await worker.stores.jobs.slot(user_id, device_id, kind)
    if slot is None:
        return
    report = news.reports.get(kind)
    job = await _heard(worker, user_id, slot.slot.job_id, report, news.version)
    if job is None or job.due_at is None:
        return
    if news.look or job.due_at <= worker.clock():
        await worker.look(user_id, job.id, connected=news.connected)


async def _heard(
    worker: Worker, user_id: str, job_id: str, report: Report | None, version: int
) -> Job | None:
    """The job after the report, if there is one; None where it needs nobody."""
    for _ in range(TRIES):
        held = await worker.stores.jobs.get(user_id, job_id)
        if held is None or held.job.due_at is None:
            return None
        if report is None or held.job.state in ENDS:
            return held.job
        now = worker.clock()
        job = rules.heard(held.job, report, version, now, worker.limits)
        if job is held.job:
            return job
        written = await worker.stores.jobs.replace(held, rules.scheduled(job, now, worker.limits))
        if written is not None:
            return written.job
    log.warning("a report is left to the next look at its job", extra={"job_id": job_id})
    return None
