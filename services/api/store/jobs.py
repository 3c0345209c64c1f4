"""Container `jobs`: orders over the air, one partition for each account.

The OTA service writes it.
"""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from services.api.store.pages import read_page
from shared.cosmos import cosmos_call
from shared.schemas.jobs import Job, JobKind, JobState


@dataclass(frozen=True)
class Filter:
    """What is looked for; what is not given does not matter."""

    device_id: str = ""
    open: bool = False  # such as have not had their end, and no others
    state: JobState | None = None
    kind: JobKind | None = None
    begins: str = ""  # its id, with this


@dataclass(frozen=True)
class JobPage:
    """Some jobs, and the cursor of the next page; "" after the last."""

    jobs: list[Job]
    next: str


@dataclass(frozen=True)
class Jobs:
    """Every call stays within one partition."""

    container: ContainerProxy

    async def get(self, user_id: str, job_id: str) -> Job | None:
        """A point read; None also for the id of something else."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(job_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return None
        return Job.model_validate(item) if item["doc"] == "job" else None

    async def page(self, user_id: str, wanted: Filter, limit: int, cursor: str = "") -> JobPage:
        """Some jobs, newest first. Raises InvalidRequest for a cursor of another list."""
        conditions = ["c.user_id = @user", "c.doc = 'job'"]
        values: dict[str, object] = {"@user": user_id}
        if wanted.device_id:
            conditions.append("c.device_id = @device")
            values["@device"] = wanted.device_id
        if wanted.open:
            conditions.append("c.open = true")
        if wanted.state is not None:
            conditions.append("c.state = @state")
            values["@state"] = wanted.state
        if wanted.kind is not None:
            conditions.append("c.kind = @kind")
            values["@kind"] = wanted.kind
        if wanted.begins:
            conditions.append("STARTSWITH(c.id, @begins)")
            values["@begins"] = wanted.begins
        order = ", ".join(f"c.{name} DESC" for name in _order(wanted))
        page = await read_page(
            self.container,
            f"SELECT * FROM c WHERE {' AND '.join(conditions)} ORDER BY {order}",  # noqa: S608
            values,
            user_id,
            limit=limit,
            cursor=cursor,
        )
        return JobPage([Job.model_validate(item) for item in page.items], page.next)


def _order(wanted: Filter) -> tuple[str, ...]:
    """By time, as the container's composite index that begins with what is looked for has it."""
    if wanted.device_id:
        return "user_id", "device_id", "created_at", "id"
    if wanted.state is not None:
        return "user_id", "state", "created_at", "id"
    if wanted.open:
        return "user_id", "open", "created_at", "id"
    return "user_id", "doc", "created_at", "id"
