"""What becomes of a job: from what the gateway says, from time, from the device's owner. Pure.

A job goes queued, sent, accepted, downloading, installing, or back to queued for its next attempt,
and then has its end, which absorbs everything (docs/adr/0016). Only a report whose `$version` is
above the one that was taken into account is news, and one that the twin still shows when something
else was reported is none. Whatever happens, a job is over when the life of its order is.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.ota.logic import reasons
from services.ota.logic.job_limits import DOWNLOADS, Limits
from services.ota.logic.reports import Installed, Report
from shared.schemas.jobs import ENDS, Job, JobKind, JobState, JobStep

CLAIM = timedelta(seconds=20)  # of whoever looks at a job; then others may
MAX_STEPS = 40
FIRST_STEPS = 10  # of them, those that are never dropped


@dataclass(frozen=True)
class Seen:
    """What a device's twin says of a kind of job, read after the job was.

    `ordered`: the job of the desired property, "" for none; `ticket_expires_at`: of the address
    that stands there, none where it is not this job's. `heard_at`: when the hub heard of the
    device last; none for never.
    """

    connected: bool
    reported_version: int
    report: Report | None
    installed: Installed
    ordered: str
    ticket_expires_at: datetime | None
    heard_at: datetime | None = None


def begun(job: Job, now: datetime) -> Job:
    """A job that was just made, with its first step."""
    return _moved(job, JobState.QUEUED, now)


def heard(job: Job, report: Report, version: int, now: datetime, limits: Limits) -> Job:
    """The job after a report of `version`; the same one where that is no news."""
    if job.state in ENDS or report.job != job.id or version <= job.reported_version:
        return job
    if report.at and report.at == job.reported_at:
        return job
    job = job.model_copy(update={"reported_version": version, "reported_at": report.at})
    after = _told(job, report, now, limits)
    if after is job or after.state in ENDS:  # what it says once more is no sign of progress
        return after
    return after.model_copy(update={"silent_since": now})


def looked_at(job: Job, seen: Seen, now: datetime, limits: Limits) -> Job:
    """The job after a look at the twin."""
    if seen.reported_version < job.reported_version:  # the device was registered anew
        job = job.model_copy(update={"reported_version": 0})
    if seen.report is not None:
        job = heard(job, seen.report, seen.reported_version, now, limits)
    if job.state in ENDS:
        return job
    job = job.model_copy(
        update={
            "reported_version": seen.reported_version,
            "silent_since": (job.silent_since or now) if seen.connected else None,
        }
    )
    if _says_installed(job, seen) and _is_there(job, seen.installed):
        return _succeeded(job, now)
    if now >= limits.ends_at(job):
        return ended(job, JobState.TIMED_OUT, reasons.too_late(job, limits.order_life), now)
    if job.state is JobState.QUEUED:
        return job
    job = _explained(job, seen, limits)
    if job.silent_since is None or now < job.silent_since + limits.wait(job.state):
        return job
    return _silent(job, seen, now, limits)


def ordered(job: Job, seen: Seen, now: datetime, limits: Limits) -> Job:
    """The job when its order is to be sent, or gets a fresh ticket; else the same one.

    The order in the twin follows from the job alone (`needs_order`), so the job is written first.
    """
    expires_at = limits.next_expiry(job, now)
    if job.state is JobState.QUEUED and (job.retry_at is None or job.retry_at <= now):
        away = job.silent_since is None
        job = job.model_copy(
            update={
                "ticket_expires_at": expires_at,
                "retry_at": None,
                "silent_since": None if away else now,
            }
        )
        job = _moved(job, JobState.SENT, now)
        return _explained(job, seen, limits) if away else job
    if job.state in DOWNLOADS and seen.connected:
        renew_at = limits.renew_at(job)
        if renew_at is None or renew_at <= now:
            return job.model_copy(update={"ticket_expires_at": expires_at})
    return job


def needs_order(job: Job, seen: Seen) -> bool:
    """Whether the twin's desired property is not what the job says."""
    if job.state not in DOWNLOADS:
        return False
    return seen.ordered != job.id or seen.ticket_expires_at != job.ticket_expires_at


def connected(job: Job) -> Job:
    """The job after its gateway connected: it has all its time to answer again."""
    return job.model_copy(update={"silent_since": None})


def ended(job: Job, state: JobState, reason: str, now: datetime) -> Job:
    """The job at its end, which is one of `ENDS`. One that had its end keeps that."""
    if job.state in ENDS:
        return job
    ending = dict.fromkeys(("retry_at", "silent_since", "answer_by"))
    return _moved(job, state, now, reason, **ending, finished_at=now)


def tidied(job: Job, limits: Limits) -> Job:
    """The job when all is done that follows from its end: nobody looks at it again."""
    return job.model_copy(update={"due_at": None, "ttl": int(limits.kept.total_seconds()) or 1})


def claimed(job: Job, now: datetime) -> Job:
    """The job while somebody looks at it; who it was is of no matter, for the ETag decides."""
    return job.model_copy(update={"due_at": now + CLAIM})


def scheduled(job: Job, now: datetime, limits: Limits) -> Job:
    """The job with the time when somebody must look at it, at once where it has just ended; and
    with what its owner may know of the times it waits for."""
    return job.model_copy(
        update={
            "due_at": limits.due_at(job, now),
            "answer_by": limits.answer_by(job),
            "expires_at": limits.ends_at(job),
        }
    )


def _told(job: Job, report: Report, now: datetime, limits: Limits) -> Job:
    match report.state:
        case JobState.REJECTED:
            return ended(job, JobState.REJECTED, reasons.rejected(report.error), now)
        case JobState.FAILED:
            return _failed(job, report, now, limits)
        case JobState.SUCCEEDED:
            if job.state is JobState.INSTALLING and job.reason == reasons.WAITS_FOR_VERSION:
                return job
            return _moved(job, JobState.INSTALLING, now, reasons.WAITS_FOR_VERSION, percent=100)
        case JobState.INSTALLING:
            return _progressed(job, JobState.INSTALLING, 100, now)
        case JobState.DOWNLOADING:
            return _progressed(job, JobState.DOWNLOADING, report.percent, now)
    return _progressed(job, JobState.ACCEPTED, job.percent, now)


def _progressed(job: Job, state: JobState, percent: int, now: datetime) -> Job:
    if job.state is not state:
        if job.state is JobState.DOWNLOADING and percent == 100:
            job = _noted(job, percent=100)  # the report that said so may have been skipped
        return _moved(job, state, now, percent=percent, retry_at=None)
    if job.percent == percent:
        return job
    return _noted(job, percent=percent, reason="")


def _explained(job: Job, seen: Seen, limits: Limits) -> Job:
    """With its gateway's absence as the reason, where it has no better one."""
    if job.silent_since is None:
        away = reasons.away(job, seen.heard_at, limits.ends_at(job))
        return job if job.reason else _noted(job, reason=away)
    if job.reason.startswith(reasons.NOT_CONNECTED):
        return job.model_copy(update={"reason": ""})
    return job


def _noted(job: Job, **fields: object) -> Job:
    """In the job and its last step."""
    steps = [*job.steps[:-1], job.steps[-1].model_copy(update=fields)]
    return job.model_copy(update={**fields, "steps": steps})


def _failed(job: Job, report: Report, now: datetime, limits: Limits) -> Job:
    if job.state is JobState.QUEUED and job.attempt > 1:
        return job  # it says once more what is known
    expired = job.ticket_expires_at is not None and job.ticket_expires_at <= now
    if expired and report.code == "refused":
        return _moved(job, JobState.QUEUED, now, reasons.EXPIRED_ADDRESS, retry_at=now)
    if job.attempt >= limits.attempts:
        return ended(job, JobState.FAILED, reasons.failed(limits.attempts, report.error), now)
    pause = limits.pause(job.attempt)
    reason = reasons.tried_again(job, limits.attempts, report.error, pause)
    return _next_attempt(job, now, reason, now + pause)


def _silent(job: Job, seen: Seen, now: datetime, limits: Limits) -> Job:
    wait = limits.wait(job.state)
    if job.state is JobState.INSTALLING:
        if _is_there(job, seen.installed):  # what it said last may have been lost with its memory
            return _succeeded(job, now)
        if _says_installed(job, seen):
            return ended(job, JobState.FAILED, reasons.not_there(job, seen.installed), now)
    if job.attempt >= limits.attempts:
        return ended(job, JobState.TIMED_OUT, reasons.given_up(job, wait, limits.attempts), now)
    return _next_attempt(job, now, reasons.silent(job, wait, limits.attempts), now)


def _next_attempt(job: Job, now: datetime, reason: str, retry_at: datetime) -> Job:
    return _moved(
        job,
        JobState.QUEUED,
        now,
        reason,
        attempt=job.attempt + 1,
        percent=0,
        retry_at=retry_at,
    )


def _succeeded(job: Job, now: datetime) -> Job:
    job = job.model_copy(update={"percent": 100})
    return ended(job, JobState.SUCCEEDED, reasons.installed(job), now)


def _moved(job: Job, state: JobState, now: datetime, reason: str = "", **fields: object) -> Job:
    job = job.model_copy(update={"state": state, "state_at": now, "reason": reason, **fields})
    step = JobStep(state=state, at=now, reason=reason, percent=job.percent, attempt=job.attempt)
    steps = [*job.steps, step]
    if len(steps) > MAX_STEPS:
        steps = [*steps[:FIRST_STEPS], *steps[FIRST_STEPS + 1 :]]
    return job.model_copy(update={"steps": steps})


def _says_installed(job: Job, seen: Seen) -> bool:
    report = seen.report
    return report is not None and report.job == job.id and report.state is JobState.SUCCEEDED


def _is_there(job: Job, installed: Installed) -> bool:
    if installed.version != job.version:
        return False
    return job.kind is JobKind.FIRMWARE or installed.name == job.name
