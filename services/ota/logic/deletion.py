"""What is in the way of deleting an artifact.

Whoever deletes marks the artifact first and looks for orders then; whoever orders makes the job
first and looks for the mark then. So of the two at least one sees the other.
"""

from shared.errors import Conflict
from shared.schemas.jobs import Job


def being_sent(job: Job) -> Conflict:
    """It is on its way to a device."""
    return Conflict(
        f"Version {job.version} is being sent to the device {job.device_id} (job {job.id}, "
        f"{job.state.replace('_', ' ')}); wait for its end or cancel it, then delete it."
    )
