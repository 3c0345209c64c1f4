"""A process that is killed at any point of a job's life: another one brings it to the same end."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from services.ota.logic import orders
from services.ota.logic.following import follow
from services.ota.logic.job_rules import MAX_STEPS
from services.ota.logic.orders import Order
from shared.errors import MyMoteError
from shared.schemas.jobs import ENDS, Job, JobState
from tests.ota.order_world import APP, DEVICE, World

ORDER = Order("one", "u1", DEVICE, "a test")


def test_a_kill_at_any_point_changes_nothing_of_the_end() -> None:
    points = 0
    while asyncio.run(_lived(points)):
        points += 1
    assert points > 30  # calls of the database and the hub, before each and after each


async def _lived(point: int) -> bool:
    """Whether there was a call of this number, at which the process was killed."""
    world = World()
    world.connect(connected=True)
    life = _Life(world, point)
    await life.does(orders.order_app(world.workers[0], ORDER, "app", "1.0.0"))
    await life.looks()
    _expect(world, JobState.SENT)
    for state in ("accepted", "downloading", "failed"):
        await life.hears({"ota_app": {"job": "one", "state": state, "percent": 40, "error": ""}})
    _expect(world, JobState.QUEUED)
    world.now += timedelta(seconds=11)
    await life.looks()
    _expect(world, JobState.SENT)
    told = {"job": "one", "state": "succeeded", "percent": 100, "error": ""}
    await life.hears({"ota_app": told, "app_name": APP, "app_version": "1.0.0"})
    await life.looks()
    job = _expect(world, JobState.SUCCEEDED)
    assert job.due_at is None
    assert job.ttl == 30 * 86_400
    assert [step.state for step in job.steps if step.state in ENDS] == [JobState.SUCCEEDED]
    assert job.attempt == 2
    assert world.hub.desired == {}
    assert len(world.timeline.entries) == 1
    return life.killed


def _expect(world: World, state: JobState) -> Job:
    job = world.jobs.jobs["u1", "one"].job
    assert job.state is state
    return job


class _Life:
    """What one process does until it is killed at a call; then another one does it."""

    def __init__(self, world: World, point: int) -> None:
        self.killed = False
        self._world = world
        self._left = point

    async def does(self, work: Awaitable[object]) -> None:
        if not await self._survives(work):
            # Whoever ordered hears of no reply and orders again, under the same id.
            await orders.order_app(self._world.workers[1], ORDER, "app", "1.0.0")

    async def looks(self) -> None:
        for job in self._world.jobs.overdue(self._world.now):
            look = self._world.workers[0].look(job.user_id, job.id, if_due=True)
            if not await self._survives(look):
                self._world.now += timedelta(seconds=21)
                await self._world.workers[1].look(job.user_id, job.id, if_due=True)

    async def hears(self, properties: dict[str, object]) -> None:
        self._world.report(properties)
        before = len(self._world.tasks)
        self._world.follow(0, self._world.events[-1])
        if not await self._survives(self._world.tasks[before]):
            # Its checkpoint was not written: the event comes again.
            self._world.follow(1, self._world.events[-1])
            await self._world.tasks[-1]

    async def _survives(self, work: Awaitable[object]) -> bool:
        world = self._world
        world.gate.open = self.killed
        task = asyncio.ensure_future(work)
        world.tasks.append(task)
        await world.settle()
        while world.gate.waiting and self._left > 0:
            self._left -= 1
            world.gate.let_pass(0)
            await world.settle()
        world.gate.open = True
        if task.done():
            await task
            return True
        self.killed = True
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False


def test_an_order_is_refused_where_there_is_nothing_to_install() -> None:
    asyncio.run(_refused())


async def _refused() -> None:
    world = World()
    world.gate.open = True
    with pytest.raises(MyMoteError, match="no such version"):
        await orders.order_app(world.workers[0], ORDER, "app", "9.9.9")
    # Marked by whoever deletes while the order is on its way: the job is taken back.
    world.gate.open = False
    ordering = asyncio.ensure_future(orders.order_app(world.workers[0], ORDER, "app", "1.0.0"))
    world.tasks.append(ordering)
    await world.settle()
    while not world.jobs.order_of:
        world.gate.let_pass(0)
        await world.settle()
    world.mark("1.0.0")
    world.gate.open = True
    world.gate.let_pass(0)
    with pytest.raises(MyMoteError, match="being deleted"):
        await ordering
    assert world.jobs.jobs["u1", "one"].job.state is JobState.CANCELLED


def test_a_gateway_that_is_paired_again_by_the_same_account_has_no_order_left() -> None:
    asyncio.run(_paired_again())


async def _paired_again() -> None:
    world = World()
    world.gate.open = True
    worker = world.workers[0]
    await orders.order_app(worker, ORDER, "app", "1.0.0")
    await worker.scan()
    order = world.hub.desired
    world.hand_on("u1")
    world.hub.desire(order)  # by whoever was about to send it
    await worker.look("u1", "one")
    assert _expect(world, JobState.CANCELLED).reason == "The gateway was unpaired."
    assert world.hub.desired == {}


def test_what_a_gateway_says_many_times_at_once_costs_as_much_as_once() -> None:
    asyncio.run(_said_again_and_again())


async def _said_again_and_again() -> None:
    world = World()
    world.gate.open = True
    world.connect(connected=True)
    await orders.order_app(world.workers[0], ORDER, "app", "1.0.0")
    await world.workers[0].scan()
    _expect(world, JobState.SENT)
    for state in ("accepted", "downloading") * 100:
        told = {"job": "one", "state": state, "percent": 40, "error": "x" * 30_000}
        world.report({"ota_app": told, "app_version": "0.9.0"})
    written = len(world.jobs.states["one"])
    await follow(world.workers[1], DEVICE, world.events)
    assert len(_expect(world, JobState.DOWNLOADING).steps) == MAX_STEPS
    assert len(world.jobs.states["one"]) <= written + 2


def test_a_job_that_cannot_be_read_is_in_nobodys_way() -> None:
    asyncio.run(_unreadable())


async def _unreadable() -> None:
    world = World()
    world.gate.open = True
    await orders.order_app(world.workers[0], ORDER, "app", "1.0.0")
    world.jobs.unreadable.add("one")
    assert not await world.workers[0].scan()
    assert world.jobs.overdue(world.now + timedelta(seconds=19)) == []


def test_a_job_waits_while_the_hub_does_not_answer() -> None:
    asyncio.run(_unanswered())


async def _unanswered() -> None:
    world = World()
    world.gate.open = True
    worker = world.workers[0]
    await orders.order_app(worker, ORDER, "app", "1.0.0")
    world.hub.answers = False
    assert not await worker.scan()
    assert world.jobs.overdue(world.now + timedelta(seconds=19)) == []
    world.hub.answers = True
    world.now += timedelta(seconds=41)
    await worker.scan()
    _expect(world, JobState.SENT)
