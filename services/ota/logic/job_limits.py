"""How long a job waits for what, and so when somebody must look at it. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.schemas.jobs import ENDS, Job, JobState

# A gateway that connects is looked at by its event; this is for an event that was lost.
LOOK_WHILE_AWAY = timedelta(hours=1)

# Those in which a gateway needs its order.
DOWNLOADS = (JobState.SENT, JobState.ACCEPTED, JobState.DOWNLOADING)


@dataclass(frozen=True)
class Limits:
    """The settings of `services.ota.settings`, and the moments that follow from them."""

    attempts: int
    order_life: timedelta
    answer_wait: timedelta
    progress_wait: timedelta
    install_wait: timedelta
    retry_first: timedelta
    ticket_life: timedelta
    kept: timedelta  # from its end

    def wait(self, state: JobState) -> timedelta:
        """How long a connected gateway may be silent in a state."""
        if state is JobState.INSTALLING:
            return self.install_wait
        return self.answer_wait if state is JobState.SENT else self.progress_wait

    def pause(self, attempt: int) -> timedelta:
        """From the failure of an attempt to the next one."""
        return self.retry_first * (1 << min(attempt - 1, 10))

    def ends_at(self, job: Job) -> datetime:
        """When the life of its order is over, wherever it is."""
        return job.created_at + self.order_life

    def answer_by(self, job: Job) -> datetime | None:
        """Until when its gateway may be silent; none while nothing is awaited of it."""
        if job.silent_since is None or job.state is JobState.QUEUED or job.state in ENDS:
            return None
        return job.silent_since + self.wait(job.state)

    def due_at(self, job: Job, now: datetime) -> datetime:
        """When somebody must look at it; at once where it has just ended."""
        if job.state in ENDS:
            return now
        moments = [self.ends_at(job)]
        if job.state is JobState.QUEUED:
            moments.append(job.retry_at or now)
        elif (answer_by := self.answer_by(job)) is None:
            moments.append(now + LOOK_WHILE_AWAY)
        else:
            moments.append(answer_by)
            renew_at = self.renew_at(job)
            if renew_at is not None and job.state in DOWNLOADS:
                moments.append(renew_at)
        return min(moments)

    def next_expiry(self, job: Job, now: datetime) -> datetime:
        """Always another one, so that the address is: a gateway tries anew for a new address
        only."""
        expires_at = (now + self.ticket_life).replace(microsecond=0)  # as tickets have it
        if job.ticket_expires_at is None:
            return expires_at
        return max(expires_at, job.ticket_expires_at + timedelta(seconds=1))

    def renew_at(self, job: Job) -> datetime | None:
        """When its address is old enough to be replaced; none where it has none."""
        if job.ticket_expires_at is None:
            return None
        return job.ticket_expires_at - self.ticket_life / 2
