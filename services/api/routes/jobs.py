"""Orders over the air after they were given: how far each is, and taking it back."""

from typing import Annotated

from fastapi import Depends, Path, Query, Request

from services.api.entities.jobs import Job, JobPage, JobStep, WantedJobState
from services.api.logic import ids, jobs
from services.api.logic.jobs import Stores
from services.api.routes.dependencies import Caller, Opened
from services.api.routes.errors import refusals
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from services.api.routes.router import customer_router
from services.api.store.jobs import Filter
from shared.schemas.jobs import Job as JobDocument
from shared.schemas.jobs import JobKind, JobState

router = customer_router("over the air")


def _stores(resources: Opened) -> Stores:
    return Stores(resources.jobs, resources.ota)


def _job_id(
    _caller: Caller,
    jobid: Annotated[
        str,
        Path(description="The JOB's `id`.", examples=["5b0a7c9e-3f1d-4c8a-9d53-0a4b7e6c2f18"]),
    ],
) -> str:
    """Raises InvalidRequest, after the caller is known."""
    return ids.check_job_id(jobid)


Opener = Annotated[Stores, Depends(_stores)]
JobId = Annotated[str, Depends(_job_id)]


@router.get(
    "/jobs",
    operation_id="listJobs",
    summary="List jobs",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_jobs(
    *,
    stores: Opener,
    caller: Caller,
    device_id: Annotated[str, Query(description="Of this device only.")] = "",
    state: Annotated[
        WantedJobState | None, Query(description="`open` is what has not had its end.")
    ] = None,
    kind: Annotated[JobKind | None, Query(description="Of apps or of firmware only.")] = None,
    begins: Annotated[
        str,
        Query(
            alias="id",
            pattern="^([0-9a-f-]{6,36})?$",
            description="Whose `id` begins with this; at least 6 characters.",
            examples=["5b0a7c9e"],
        ),
    ] = "",
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = "",
) -> JobPage:
    """Orders to install an app or a firmware, newest first, also of devices that were unpaired
    since."""
    wanted = Filter(
        device_id=ids.check_device_id(device_id) if device_id else "",
        open=state is WantedJobState.OPEN,
        state=JobState(state) if state and state is not WantedJobState.OPEN else None,
        kind=kind,
        begins=begins,
    )
    page = await stores.jobs.page(caller.user_id, wanted, limit, cursor)
    return JobPage(items=[_entity(each) for each in page.jobs], next=page.next)


@router.get(
    "/jobs/{jobid}",
    operation_id="getJob",
    summary="Read a job",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def get_job(stores: Opener, caller: Caller, job_id: JobId) -> Job:
    """How far an order is, what happened to it so far, and why."""
    return _entity(await jobs.get_job(stores.jobs, caller.user_id, job_id))


@router.delete(
    "/jobs/{jobid}",
    operation_id="cancelJob",
    summary="Cancel a job",
    responses=refusals(400, 401, 403, 404, 409, 429, 501, 503),
)
async def cancel_job(request: Request, stores: Opener, caller: Caller, job_id: JobId) -> Job:
    """The gateway drops what it has downloaded. Once it installs, and after the job's end, that
    is 409."""
    job = await jobs.get_job(stores.jobs, caller.user_id, job_id)
    request.state.device_id = job.device_id
    return _entity(await jobs.cancel(stores, caller.user_id, job_id, caller.principal.name))


def _entity(job: JobDocument) -> Job:
    of_app = job.kind is JobKind.APP
    alike = job.model_dump(include=set(Job.model_fields) - {"steps"})
    return Job(
        **alike,
        app_version_id=job.artifact_id if of_app else "",
        firmware_id="" if of_app else job.artifact_id,
        steps=[JobStep(**step.model_dump()) for step in job.steps],
    )
