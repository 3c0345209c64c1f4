"""Container `jobs`: orders, and which of them a device is at; one partition for each account."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceNotFoundError,
)

from services.ota.store import batches
from shared import point
from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.schemas.documents import sortable
from shared.schemas.jobs import Job, JobKind, Slot, slot_id

PAGE = 100


class Ordered(Enum):
    """What became of an order."""

    DONE = auto()
    EXISTS = auto()  # there is a job of its id
    CHANGED = auto()  # somebody else was quicker: read again


@dataclass(frozen=True)
class Held:
    """A job as it was read or written, and its ETag."""

    job: Job
    etag: str


@dataclass(frozen=True)
class HeldSlot:
    """A slot as it was read, and its ETag."""

    slot: Slot
    etag: str


@dataclass(frozen=True)
class Jobs:
    """Every call but `due` stays within one account's partition, and raises Unavailable."""

    container: ContainerProxy

    async def get(self, user_id: str, job_id: str) -> Held | None:
        """A point read; None also where the id is that of something else."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(job_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return None
        return Held(Job.model_validate(item), item["_etag"]) if item["doc"] == "job" else None

    async def replace(self, held: Held, job: Job) -> Held | None:
        """None where it changed since it was read."""
        etag = await point.replace(self.container, job, held.etag)
        return Held(job, etag) if etag is not None else None

    async def slot(self, user_id: str, device_id: str, kind: JobKind) -> HeldSlot | None:
        """A point read."""
        found = await point.read(self.container, Slot, slot_id(device_id, kind), user_id)
        return HeldSlot(*found) if found else None

    async def tidy(self, held: Held, job: Job) -> bool:
        """The job as nobody looks at it any more; with it goes its device's slot, if it has it.

        False where one of them changed since it was read.
        """
        slot = await self.slot(job.user_id, job.device_id, job.kind)
        operations = [batches.replace(job.model_dump(mode="json"), held.etag)]
        if slot is not None and slot.slot.job_id == job.id:
            operations.append(batches.delete(slot.slot.id, slot.etag))
        return await batches.run(self.container, job.user_id, operations) is None

    async def order(self, job: Job, slot: HeldSlot | None, superseded: Held | None) -> Ordered:
        """Make a job, give it its device's slot, and end the one that was there, together.

        `slot`: as it was read; None where there was none. `superseded`: the older job as it is
        to be, with the ETag that it has; None where it had ended.
        """
        taken = Slot(id=slot_id(job.device_id, job.kind), user_id=job.user_id, job_id=job.id)
        body = taken.model_dump(mode="json")
        operations = [
            batches.create(job.model_dump(mode="json")),
            batches.replace(body, slot.etag) if slot else batches.create(body),
        ]
        if superseded is not None:
            older = superseded.job.model_dump(mode="json")
            operations.append(batches.replace(older, superseded.etag))
        refused = await batches.run(self.container, job.user_id, operations)
        if refused is None:
            return Ordered.DONE
        return Ordered.EXISTS if refused == 0 else Ordered.CHANGED

    async def postpone(self, user_id: str, job_id: str, now: datetime, until: datetime) -> None:
        """Where it is due still. It is not read, so also what is no valid job is put off."""
        with suppress(CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
            async with cosmos_call():
                await self.container.patch_item(
                    job_id,
                    partition_key=user_id,
                    patch_operations=[{"op": "set", "path": "/due_at", "value": sortable(until)}],
                    filter_predicate=f"FROM c WHERE c.due_at <= '{sortable(now)}'",
                )

    async def due(self, now: datetime) -> list[tuple[str, str]]:
        """User and job ids of some jobs that somebody must look at; all partitions are asked."""
        found = self.container.query_items(
            "SELECT c.user_id, c.id FROM c WHERE c.due_at <= @now",
            parameters=[{"name": "@now", "value": sortable(now)}],
            max_item_count=PAGE,
        )
        async with cosmos_call(LIST_SECONDS):
            async for page in found.by_page():
                jobs = [(str(item["user_id"]), str(item["id"])) async for item in page]
                if jobs:
                    return jobs
        return []
