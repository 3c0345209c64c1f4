"""Jobs: what became of orders over the air, and taking them back."""

from dataclasses import dataclass

from services.api.store.jobs import Jobs
from services.api.store.ota import Ota
from shared.errors import NotFound
from shared.schemas.jobs import Job


@dataclass(frozen=True)
class Stores:
    """Where jobs are read, and who ends them."""

    jobs: Jobs
    ota: Ota


async def get_job(jobs: Jobs, user_id: str, job_id: str) -> Job:
    """Raises NotFound."""
    job = await jobs.get(user_id, job_id)
    if job is None:
        raise NotFound("This account has no job of this id; GET .../jobs lists them.")
    return job


async def cancel(stores: Stores, user_id: str, job_id: str, by: str) -> Job:
    """The job as it is then. Raises NotFound, Conflict where it is too late, and what `Ota`
    raises."""
    await stores.ota.cancel_job(user_id, job_id, by)
    return await get_job(stores.jobs, user_id, job_id)
