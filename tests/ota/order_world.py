"""A small world for the logic of orders: stores and a hub in memory, one call at a time.

Whatever the logic calls waits at a gate before it is done and after, until the test lets it pass or
kills whoever called. So a test decides how calls of several processes follow each other.
"""

import asyncio
import json
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from pydantic import SecretStr

from services.ota.logic.following import follow
from services.ota.logic.installables import Installable, Installables
from services.ota.logic.job_limits import Limits
from services.ota.logic.reports import News, read_news
from services.ota.logic.worker import Addresses, Stores, Worker
from services.ota.store.gateways import Gateways
from services.ota.store.jobs import Held, HeldSlot, Jobs, Ordered
from services.ota.store.timeline import Timeline
from shared.errors import Unavailable
from shared.iothub import DeviceTwin, IotHub
from shared.iothub_refusals import TwinChanged
from shared.schemas.artifacts import AppVersionDocument
from shared.schemas.documents import Gateway, Pairing, TimelineEntry
from shared.schemas.jobs import Job, JobKind, Slot, slot_id

DEVICE = "X400_1"
APP = "Pump control"
START = datetime(2026, 3, 1, tzinfo=UTC)
LIMITS = Limits(
    attempts=3,
    order_life=timedelta(days=1),
    answer_wait=timedelta(seconds=60),
    progress_wait=timedelta(seconds=300),
    install_wait=timedelta(seconds=300),
    retry_first=timedelta(seconds=10),
    ticket_life=timedelta(hours=1),
    kept=timedelta(days=30),
)


@dataclass(frozen=True, eq=False)
class HeldCall:
    """A call that waits at the gate."""

    what: str
    passed: "asyncio.Future[None]"


@dataclass
class Gate:
    """Holds every call until it is told to let it pass."""

    open: bool = False
    waiting: list[HeldCall] = field(default_factory=list)
    calls: int = 0

    async def __call__(self, what: str = "") -> None:
        self.calls += 1
        if self.open:
            return
        call = HeldCall(what, asyncio.get_running_loop().create_future())
        self.waiting.append(call)
        try:
            await call.passed
        finally:
            if call in self.waiting:
                self.waiting.remove(call)

    def let_pass(self, number: int) -> None:
        self.waiting.pop(number).passed.set_result(None)


@dataclass
class MemoryJobs:
    """As `Jobs`. `states`: each state that was written, by job."""

    gate: Gate
    jobs: dict[tuple[str, str], Held] = field(default_factory=dict)
    slots: dict[tuple[str, str], HeldSlot] = field(default_factory=dict)
    states: dict[str, list[str]] = field(default_factory=dict)
    order_of: list[Job] = field(default_factory=list)
    etags: int = 0
    unreadable: set[str] = field(default_factory=set)

    async def get(self, user_id: str, job_id: str) -> Held | None:
        await self.gate()
        if job_id in self.unreadable:
            raise ValueError("no job")
        return self.jobs.get((user_id, job_id))

    async def replace(self, held: Held, job: Job) -> Held | None:
        await self.gate()
        now = self.jobs.get((job.user_id, job.id))
        written = self._put(job) if now is not None and now.etag == held.etag else None
        await self.gate()
        return written

    async def slot(self, user_id: str, device_id: str, kind: JobKind) -> HeldSlot | None:
        await self.gate()
        return self.slots.get((user_id, slot_id(device_id, kind)))

    async def tidy(self, held: Held, job: Job) -> bool:
        slot = await self.slot(job.user_id, job.device_id, job.kind)
        await self.gate()
        done = self._tidy(held, job, slot)
        await self.gate()
        return done

    def _tidy(self, held: Held, job: Job, slot: HeldSlot | None) -> bool:
        place = (job.user_id, slot_id(job.device_id, job.kind))
        has_it = slot is not None and slot.slot.job_id == job.id
        if self.jobs[job.user_id, job.id].etag != held.etag:
            return False
        if has_it and self.slots.get(place) != slot:
            return False
        if has_it:
            del self.slots[place]
        self._put(job)
        return True

    async def order(self, job: Job, slot: HeldSlot | None, superseded: Held | None) -> Ordered:
        await self.gate()
        done = self._order(job, slot, superseded)
        await self.gate()
        return done

    def _order(self, job: Job, slot: HeldSlot | None, superseded: Held | None) -> Ordered:
        if (job.user_id, job.id) in self.jobs:
            return Ordered.EXISTS
        place = (job.user_id, slot_id(job.device_id, job.kind))
        if self.slots.get(place) != slot:
            return Ordered.CHANGED
        if superseded is not None:
            older = superseded.job
            if self.jobs[older.user_id, older.id].etag != superseded.etag:
                return Ordered.CHANGED
            self._put(older)
        self.etags += 1
        taken = Slot(id=place[1], user_id=job.user_id, job_id=job.id)
        self.slots[place] = HeldSlot(taken, str(self.etags))
        self._put(job)
        self.order_of.append(job)
        return Ordered.DONE

    def _put(self, job: Job) -> Held:
        self.etags += 1
        held = Held(Job.model_validate(job.model_dump(mode="json")), str(self.etags))
        self.jobs[job.user_id, job.id] = held
        self.states.setdefault(job.id, []).append(job.state)
        return held

    async def due(self, now: datetime) -> list[tuple[str, str]]:
        await self.gate()
        return [(job.user_id, job.id) for job in self.overdue(now)]

    async def postpone(self, user_id: str, job_id: str, _now: datetime, until: datetime) -> None:
        await self.gate()
        self._put(self.jobs[user_id, job_id].job.model_copy(update={"due_at": until}))

    def overdue(self, now: datetime) -> list[Job]:
        found = (held.job for held in self.jobs.values())
        return [job for job in found if job.due_at is not None and job.due_at <= now]


@dataclass
class MemoryHub:
    """As `IotHub`, with one device.

    `installing`: each job of which the gateway said that it installs it, or did. `seen`: each of
    these with each version that was reported from then on, whatever job it spoke of by then.
    """

    gate: Gate
    etag: int = 0
    connected: bool = False
    answers: bool = True
    desired: dict[str, Any] = field(default_factory=dict)
    reported: dict[str, Any] = field(default_factory=lambda: {"$version": 1})
    installing: set[str] = field(default_factory=set)
    seen: set[tuple[str, str]] = field(default_factory=set)

    async def get_twin(self, _device_id: str) -> DeviceTwin:
        await self.gate()
        if not self.answers:
            raise Unavailable("IoT Hub does not answer.")
        status = "Connected" if self.connected else "Disconnected"
        twin = DeviceTwin(str(self.etag), status, dict(self.reported), dict(self.desired), {})
        await self.gate()
        return twin

    async def patch_twin(
        self, _device_id: str, *, desired: Mapping[str, Any], etag: str = "*"
    ) -> None:
        await self.gate("patch")
        if etag not in ("*", str(self.etag)):
            raise TwinChanged("It changed.")
        self.desire(desired)
        await self.gate()

    def desire(self, desired: Mapping[str, Any]) -> None:
        self.etag += 1
        merged = {**self.desired, **desired}
        self.desired = {name: value for name, value in merged.items() if value is not None}

    def report(self, properties: Mapping[str, Any]) -> News | None:
        """What the event of it means."""
        version = self.reported["$version"] + 1
        times = {name: {"$lastUpdated": f"moment {version}"} for name in properties}
        known = self.reported.get("$metadata", {}) | times
        self.reported |= {**properties, "$metadata": known, "$version": version}
        told = self.reported.get("ota_app", {})
        if told.get("state") in ("installing", "succeeded"):
            self.installing.add(told["job"])
        self.seen |= {(job, self.reported.get("app_version", "")) for job in self.installing}
        return news_of({**properties, "$metadata": times, "$version": version})


@dataclass
class MemoryGateways:
    """As `Gateways`, with one gateway."""

    gate: Gate
    gateway: Gateway

    async def get(self, _device_id: str) -> Gateway | None:
        await self.gate()
        return self.gateway


@dataclass
class MemoryTimeline:
    """As `Timeline`. `entries`: by id; one that is written anew has to be the same."""

    gate: Gate
    entries: dict[str, TimelineEntry] = field(default_factory=dict)

    async def add(self, entry: TimelineEntry) -> None:
        await self.gate()
        assert self.entries.setdefault(entry.id, entry) == entry
        await self.gate()


@dataclass
class MemoryInstallables:
    """As `Installables`: two versions of an app, which somebody may delete."""

    gate: Gate
    versions: dict[str, AppVersionDocument] = field(default_factory=dict)

    async def app_version(self, _user_id: str, app_id: str, version: str) -> Installable | None:
        await self.gate()
        found = self.versions.get(version)
        return Installable(JobKind.APP, app_id, APP, "", found) if found else None

    async def of_job(self, job: Job) -> Installable | None:
        return await self.app_version(job.user_id, job.app_id, job.artifact_id)

    def signature(self, _found: Installable, _name: str) -> str:
        return "signed"


class World:
    """One device, its gateway, and two processes that move its jobs."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.now = START
        self.jobs = MemoryJobs(self.gate)
        self.hub = MemoryHub(self.gate)
        pairing = Pairing(user_id="u1", device_name="Pump", started_at=START)
        self.gateways = MemoryGateways(
            self.gate,
            Gateway(
                id=DEVICE,
                device_id=DEVICE,
                type="X400",
                manufactured_at=START,
                pairings=[pairing],
            ),
        )
        self.timeline = MemoryTimeline(self.gate)
        self.installables = MemoryInstallables(
            self.gate, {version: _document(version) for version in ("1.0.0", "1.1.0")}
        )
        self.events: list[News] = []
        self.tasks: list[asyncio.Task[Any]] = []
        self.workers = [self._worker(), self._worker()]

    def start(self, work: Awaitable[Any]) -> None:
        """Have a process begin something."""
        self.tasks.append(asyncio.ensure_future(work))

    def report(self, properties: Mapping[str, Any]) -> None:
        if (news := self.hub.report(properties)) is not None:
            self.events.append(news)

    def connect(self, *, connected: bool) -> None:
        self.hub.connected = connected
        if connected:
            self.events.append(News({}, look=True, connected=True))

    def follow(self, process: int, *news: News) -> None:
        self.start(follow(self.workers[process], DEVICE, news))

    def hand_on(self, user_id: str | None) -> None:
        """The pairing ends, and another begins if there is a `user_id`."""
        gateway = self.gateways.gateway
        *pairings, last = gateway.pairings
        pairings.append(last.model_copy(update={"ended_at": self.now}))
        if user_id is not None:
            self.now += timedelta(microseconds=1)
            pairings.append(Pairing(user_id=user_id, device_name="Pump", started_at=self.now))
        self.gateways.gateway = gateway.model_copy(update={"pairings": pairings})
        self.hub.desire({"ota_app": None})

    def mark(self, version: str) -> None:
        """Somebody begins to delete a version."""
        if (document := self.installables.versions.get(version)) is not None:
            marked = document.model_copy(update={"deleting": True})
            self.installables.versions[version] = marked

    async def settle(self) -> None:
        """Until every call waits at the gate, or is done."""
        before = -1
        while before != (before := self._progress()):
            for _ in range(6):
                await asyncio.sleep(0)

    async def kill(self) -> None:
        """All processes."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    def _progress(self) -> int:
        done = sum(task.done() for task in self.tasks)
        return hash((done, tuple(map(id, self.gate.waiting)), self.jobs.etags, self.hub.etag))

    def _worker(self) -> Worker:
        stores = Stores(
            jobs=cast(Jobs, self.jobs),
            gateways=cast(Gateways, self.gateways),
            timeline=cast(Timeline, self.timeline),
            installables=cast(Installables, self.installables),
            hub=cast(IotHub, self.hub),
        )
        addresses = Addresses("https://ota.example.com", SecretStr("k" * 43))
        return Worker(stores, LIMITS, addresses, lambda: self.now)


def news_of(reported: Mapping[str, Any]) -> News | None:
    """As the event stream has it."""
    body = json.dumps({"version": 7, "properties": {"reported": reported}}).encode()
    return read_news("twinChangeEvents", "updateTwin", body)


def _document(version: str) -> AppVersionDocument:
    return AppVersionDocument(
        id=version,
        user_id="u1",
        app_id="app",
        app_name=APP,
        name="pump.bin",
        version=version,
        created_at=START,
        filepath=f"apps/u1/{version}.bin",
        download_key="",
        sig_md5="PkrfRx4MJuPOGCBYunt25g==",
        sha256="ab" * 32,
        signature="signed",
        size=100,
    )
