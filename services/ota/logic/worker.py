"""Moves jobs on: looks at the device's twin, orders, decides, tidies up at the end.

A look reads the job, then the twin, then whose the device is. What it decides is written into the
job first, then into the twin, each under the ETag of what was read; so nothing depends on being the
only one that looks. Between the two the job's `due_at` is 20 seconds ahead: where this process is
killed, somebody comes and has the twin follow. The end of a job changes the twin in any case: so no
order of it can be written any more by whoever read the twin before (docs/adr/0016).
"""

import asyncio
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from services.ota import metrics
from services.ota.logic import job_rules as rules
from services.ota.logic import reasons, tickets
from services.ota.logic.endings import entry_of
from services.ota.logic.installables import Installables
from services.ota.logic.job_limits import Limits
from services.ota.logic.job_rules import Seen
from services.ota.logic.ownership import is_still_theirs
from services.ota.logic.reports import PROPERTIES, read_installed, read_report, read_version
from services.ota.store.gateways import Gateways
from services.ota.store.jobs import PAGE, Held, Jobs
from services.ota.store.timeline import Timeline
from shared.errors import NotFound, Unavailable
from shared.iothub import DeviceTwin, IotHub
from shared.iothub_refusals import TwinChanged
from shared.schemas.jobs import ENDS, Job, JobState

log = logging.getLogger(__name__)

AT_ONCE = 8  # jobs; IoT Hub's client has four threads
MAX_WOKEN = 200  # jobs that wait for their look; what comes above is found by its `due_at`
TRIES = 10  # at a job that changes while it is looked at


@dataclass(frozen=True)
class Stores:
    """What jobs are made of."""

    jobs: Jobs
    gateways: Gateways
    timeline: Timeline
    installables: Installables
    hub: IotHub


@dataclass(frozen=True)
class Addresses:
    """Where gateways download: the setting `ota_public_url`, and the key that tickets are made
    with."""

    public_url: str
    ticket_key: SecretStr

    def of(self, job: Job) -> str:
        """An address that only the job's device can use, until its ticket expires."""
        ticket = tickets.make(
            self.ticket_key,
            user_id=job.user_id,
            device_id=job.device_id,
            job_id=job.id,
            sha256=job.sha256,
            expires_at=job.ticket_expires_at or job.created_at,
        )
        return tickets.address(self.public_url, job.device_id, job.id, ticket)

    def expiry(self, address: object) -> datetime | None:
        """When an address expires; None where it is none of ours."""
        try:
            return tickets.read(self.ticket_key, str(address).rpartition("?ticket=")[2]).expires_at
        except tickets.BadTicket:
            return None


def utc_now() -> datetime:
    """The clock of jobs."""
    return datetime.now(UTC)


class Worker:
    """One for each process; `scan` is what it does by itself (services/ota/logic/work.py)."""

    def __init__(
        self,
        stores: Stores,
        limits: Limits,
        addresses: Addresses,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self.stores = stores
        self.limits = limits
        self.clock = clock
        self.working = False  # whether what is woken will be looked at
        self.addresses = addresses
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[bool]] = set()

    def wake(self, job: Job) -> None:
        """Look at a job soon, as far as this process can; else its `due_at` brings somebody."""
        if not self.working or len(self._tasks) >= MAX_WOKEN:
            return
        task = asyncio.create_task(self._come(job.user_id, job.id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def scan(self) -> bool:
        """Look at the jobs of one page that are due; whether there may be more."""
        found = await self.stores.jobs.due(self.clock())
        random.shuffle(found)  # other processes look at the same ones
        looked = await asyncio.gather(*(self._come(*each) for each in found))
        return len(found) >= PAGE and all(looked)

    async def finish(self) -> None:
        """End what runs: others come when its claims have run out."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def look(
        self, user_id: str, job_id: str, *, if_due: bool = False, connected: bool = False
    ) -> None:
        """Do what is to be done about a job now. Raises Unavailable.

        `if_due`: not where somebody else has taken it. `connected`: its gateway did just now.
        """
        for _ in range(TRIES):
            held = await self.stores.jobs.get(user_id, job_id)
            if held is None or held.job.due_at is None:
                return  # it never needs anybody again
            if if_due and held.job.due_at > self.clock():
                return
            if await self._step(held, connected=connected):
                metrics.LOOKS.labels("done").inc()
                return
        metrics.LOOKS.labels("contended").inc()

    async def _come(self, user_id: str, job_id: str) -> bool:
        """Whether it was looked at, or taken by somebody else."""
        try:
            async with self._slots:
                await self.look(user_id, job_id, if_due=True)
        except Unavailable as error:
            metrics.LOOKS.labels("unavailable").inc()
            log.warning("a job waits", extra={"job_id": job_id, "reason": str(error)})
        except Exception:
            metrics.LOOKS.labels("failed").inc()
            log.exception("a job could not be looked at", extra={"job_id": job_id})
        else:
            return True
        await self._postpone(user_id, job_id)
        return False

    async def _postpone(self, user_id: str, job_id: str) -> None:
        """What cannot be looked at now leaves room for others, and is not tried all the time."""
        now = self.clock()
        until = now + rules.CLAIM * random.uniform(1, 2)  # noqa: S311
        with suppress(Unavailable):
            await self.stores.jobs.postpone(user_id, job_id, now, until)

    async def _step(self, held: Held, *, connected: bool) -> bool:
        """False where something changed meanwhile: read again."""
        twin = await self._twin(held.job)
        # Read after the twin, so that a pairing that ends changes the twin's ETag.
        gateway = await self.stores.gateways.get(held.job.device_id)
        now = self.clock()
        if twin is None:
            job = rules.ended(held.job, JobState.FAILED, reasons.UNKNOWN_DEVICE, now)
            return await self._end(held, job, None, theirs=False)
        theirs = is_still_theirs(gateway, held.job)
        if not theirs:
            job = rules.ended(held.job, JobState.CANCELLED, reasons.UNPAIRED, now)
            return await self._end(held, job, twin, theirs=False)
        seen = self._seen(held.job, twin, connected=connected)
        job = rules.connected(held.job) if connected else held.job
        job = rules.looked_at(job, seen, now, self.limits)
        job = rules.ordered(job, seen, now, self.limits)
        if rules.needs_order(job, seen):
            found = await self.stores.installables.of_job(job)
            if found is None:
                job = rules.ended(job, JobState.CANCELLED, reasons.GONE, now)
            elif signature := self.stores.installables.signature(found, job.name):
                return await self._send(held, job, twin, signature)
            else:
                job = rules.ended(job, JobState.FAILED, reasons.UNSIGNED, now)
        if job.state in ENDS:
            return await self._end(held, job, twin, theirs=True)
        return await self._write(held, rules.scheduled(job, now, self.limits)) is not None

    def _seen(self, job: Job, twin: DeviceTwin, *, connected: bool) -> Seen:
        order = twin.desired.get(PROPERTIES[job.kind])
        if not isinstance(order, dict):
            order = {}
        is_its = order.get("job") == job.id
        return Seen(
            connected=connected or twin.status == "Connected",
            reported_version=read_version(twin.reported),
            report=read_report(job.kind, twin.reported),
            installed=read_installed(job.kind, twin.reported),
            ordered=str(order.get("job", "")),
            ticket_expires_at=self.addresses.expiry(order.get("url")) if is_its else None,
            heard_at=twin.heard_at,
        )

    async def _send(self, held: Held, job: Job, twin: DeviceTwin, signature: str) -> bool:
        """Have the desired property be what the job says."""
        now = self.clock()
        written = await self._write(held, rules.claimed(job, now))
        if written is None:
            return False
        order = {
            "job": job.id,
            "name": job.name,
            "version": job.version,
            "url": self.addresses.of(job),
            "size": job.size,
            "md5": job.md5,
            "sha256": job.sha256,
            "signature": signature,
        }
        if not await self._patch(job, order, twin):
            return False
        metrics.SENT.labels(job.kind).inc()
        # Where this fails the gateway has answered already, and the job is scheduled by that.
        await self._write(written, rules.scheduled(job, now, self.limits))
        return True

    async def _end(self, held: Held, job: Job, twin: DeviceTwin | None, *, theirs: bool) -> bool:
        """The end first, then what follows from it; until that is done the job stays due."""
        if held.job.state not in ENDS:
            written = await self._write(held, rules.claimed(job, self.clock()))
            if written is None:
                return False
            held = written
        await self.stores.timeline.add(entry_of(job))
        if (
            twin is not None
            and not await self._is_newer(job, twin, theirs=theirs)
            and not await self._patch(job, None, twin)
        ):
            return False
        if not await self.stores.jobs.tidy(held, rules.tidied(job, self.limits)):
            return False
        metrics.ENDED.labels(job.kind, job.state).inc()
        log.info("a job ended", extra={"job_id": job.id, "state": job.state, "why": job.reason})
        return True

    async def _is_newer(self, job: Job, twin: DeviceTwin, *, theirs: bool) -> bool:
        """Whether the twin has an order that was written after the job's end."""
        ordered = self._seen(job, twin, connected=False).ordered
        if ordered in ("", job.id):
            return False
        if not theirs:
            return True  # the next owner's; what is left of this one's goes with the unpairing
        slot = await self.stores.jobs.slot(job.user_id, job.device_id, job.kind)
        return slot is not None and slot.slot.job_id == ordered

    async def _twin(self, job: Job) -> DeviceTwin | None:
        try:
            return await self.stores.hub.get_twin(job.device_id)
        except NotFound:
            return None

    async def _write(self, held: Held, job: Job) -> Held | None:
        return await self.stores.jobs.replace(held, job)

    async def _patch(self, job: Job, value: object, twin: DeviceTwin) -> bool:
        """False where the twin changed since it was read, or went."""
        desired = {PROPERTIES[job.kind]: value}
        try:
            await self.stores.hub.patch_twin(job.device_id, desired=desired, etag=twin.etag)
        except (TwinChanged, NotFound):
            return False
        return True
