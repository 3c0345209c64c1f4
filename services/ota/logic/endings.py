"""What the device's timeline says of a job that ended. Pure."""

from shared.schemas.documents import TimelineEntry
from shared.schemas.jobs import Job, JobState

_EVENTS = {
    JobState.SUCCEEDED: "installed",
    JobState.FAILED: "failed",
    JobState.TIMED_OUT: "failed",
    JobState.REJECTED: "rejected",
    JobState.CANCELLED: "cancelled",
    JobState.SUPERSEDED: "superseded",
}


def entry_of(job: Job) -> TimelineEntry:
    """`app_installed`, `firmware_failed` and so on; the same one however often it is asked for."""
    at = job.finished_at or job.state_at
    return TimelineEntry(
        id=f"job-{job.id}-end",
        device_id=job.device_id,
        user_id=job.user_id,
        event=f"{job.kind}_{_EVENTS[job.state]}",
        detail=f"{job.name} {job.version}: {job.reason}",
        created_at=at,
        enqueued_at=at,
    )
