"""Whatever happens to orders, in whatever order and however often: each job has one end."""

import asyncio
from collections.abc import Awaitable
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ota.logic import orders
from services.ota.logic.following import follow
from services.ota.logic.orders import Order
from services.ota.logic.reports import News
from shared.errors import MyMoteError
from shared.schemas.jobs import ENDS, Job, JobState
from tests.ota.order_world import APP, DEVICE, LIMITS, World

STATES = ("accepted", "downloading", "installing", "succeeded", "failed", "rejected")
WAITS = (1, 21, 61, 301, 1900, 9000)  # seconds
USERS = ("u1", "u1", "u1", "u1", "u2")
VERSIONS = ("1.0.0", "1.1.0", "1.0.0")
# Often, what moves things on: one call passes, or all that wait and what follows from them.
ACTIONS = (
    *("pass",) * 6,
    *("pass all",) * 6,
    *("order", "order", "report", "report", "report", "install", "look", "look", "look"),
    *("event", "event", "connect", "away", "wait", "wait", "kill", "cancel", "same order"),
    *("hand on", "mark", "forget"),
)
MOST_LOOKS = 100  # for the last job to find its end, with nobody disturbing

Happening = tuple[str, int]


@settings(max_examples=100)
@given(st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 99)), min_size=30, max_size=80))
def test_each_job_has_one_end(happenings: list[Happening]) -> None:
    asyncio.run(_live(happenings))


async def _live(happenings: list[Happening]) -> None:
    world = World()
    for action, number in happenings:
        _happen(world, action, number)
        await world.settle()
        while action == "pass all" and world.gate.waiting:
            world.gate.let_pass(number % len(world.gate.waiting))
            await world.settle()
        _check_slots(world)
    await world.kill()  # all processes, wherever they are
    world.gate.open = True
    await _finish(world)
    _check(world)


def _happen(world: World, action: str, number: int) -> None:
    known = [job.id for job in world.jobs.order_of]
    some = known[-1 - number % min(2, len(known))] if known else "none"
    _call(world, action, number, some)
    match action:
        case "report":
            told = {"job": some, "state": STATES[number % 6], "percent": number, "error": "busy"}
            world.report({"ota_app": told})
        case "install":
            world.report({"app_name": APP, "app_version": VERSIONS[number % 3]})
        case "connect" | "away":
            world.connect(connected=action == "connect")
        case "wait":
            world.now += timedelta(seconds=WAITS[number % len(WAITS)])
        case "hand on":
            world.hand_on((*USERS, None)[number % 6])
        case "mark":
            world.mark("1.1.0")
        case "forget":
            world.installables.versions.pop("1.1.0", None)


def _call(world: World, action: str, number: int, some: str) -> None:
    """What goes on in one of the two processes."""
    worker = world.workers[number % 2]
    match action:
        case "pass" if world.gate.waiting:
            world.gate.let_pass(number % len(world.gate.waiting))
        case "kill" if world.tasks:
            world.tasks.pop(number % len(world.tasks)).cancel()
        case "order" | "same order":
            user_id = USERS[number % 5]
            # An id is one account's alone.
            name = f"{user_id} {len(world.jobs.order_of)}-{number}"
            if action == "same order" and some.startswith(user_id):
                name = some
            order = Order(name, user_id, DEVICE, "a test")
            world.start(_quietly(orders.order_app(worker, order, "app", VERSIONS[number % 3])))
        case "cancel":
            world.start(_quietly(orders.cancel(worker, USERS[number % 5], some, "a test")))
        case "look":
            for job in world.jobs.overdue(world.now)[:2]:
                world.start(worker.look(job.user_id, job.id, if_due=True))
        case "event" if world.events:
            first = number % len(world.events)
            world.follow(number % 2, *world.events[first : first + 1 + number % 3])


async def _quietly(call: Awaitable[object]) -> None:
    try:
        await call
    except MyMoteError:  # an order may be refused
        return


async def _finish(world: World) -> None:
    """One process looks at what is due, and time passes where nothing is."""
    for look in range(MOST_LOOKS + 1):
        waiting = [job.due_at for held in world.jobs.jobs.values() if (job := held.job).due_at]
        if not waiting:
            return
        assert look < MOST_LOOKS, "no end in sight"
        world.now = max(world.now, min(waiting))
        for job in world.jobs.overdue(world.now):
            await world.workers[0].look(job.user_id, job.id, if_due=True)


def _check_slots(world: World) -> None:
    """Each open job has its device's slot, so that events find it."""
    open_jobs = [held.job for held in world.jobs.jobs.values() if held.job.open]
    assert {(job.user_id, job.id) for job in open_jobs} <= {
        (user_id, held.slot.job_id) for (user_id, _), held in world.jobs.slots.items()
    }


def _check(world: World) -> None:
    jobs = [held.job for held in world.jobs.jobs.values()]
    for job in jobs:
        _check_job(world, job)
    assert world.jobs.slots == {}
    assert "ota_app" not in world.hub.desired
    assert len(world.timeline.entries) == len(jobs)


def _check_job(world: World, job: Job) -> None:
    written = world.jobs.states[job.id]
    first_end = next(number for number, state in enumerate(written) if state in ENDS)
    assert set(written[first_end:]) == {job.state}
    assert [step.state for step in job.steps if step.state in ENDS] == [job.state]
    assert job.steps[-1].state is job.state
    assert job.finished_at is not None
    assert job.finished_at <= max(world.now, job.created_at + LIMITS.order_life)
    assert job.attempt <= LIMITS.attempts
    assert len(job.steps) <= 40
    assert job.reason.endswith(".")
    if job.state is JobState.SUCCEEDED:
        assert (job.id, job.version) in world.hub.seen


def test_an_order_that_was_late_on_its_way_does_not_arrive_after_its_end() -> None:
    asyncio.run(_late())


async def _late() -> None:
    """Of two processes one is about to write the order when the other one ends the job."""
    world = World()
    slow, quick = world.workers
    world.gate.open = True
    job = await orders.order_app(slow, Order("late", "u1", DEVICE, ""), "app", "1.0.0")
    world.gate.open = False
    world.start(slow.look(job.user_id, job.id))
    await world.settle()
    while world.gate.waiting[0].what != "patch":
        world.gate.let_pass(0)
        await world.settle()
    late = world.gate.waiting[0]
    world.gate.open = True
    await orders.cancel(quick, "u1", "late", "a test")
    await quick.look(job.user_id, job.id)
    assert world.jobs.jobs["u1", "late"].job.due_at is None
    late.passed.set_result(None)
    await asyncio.gather(*world.tasks)
    assert world.hub.desired == {}


async def test_a_gateway_that_connects_costs_three_reads_where_no_job_is_open() -> None:
    """Whose it is, and a slot for each kind; it makes no difference what has ended."""
    world = World()
    world.gate.open = True
    assert await _reads_of_a_connection(world) == 3
    await orders.order_app(world.workers[0], Order("1", "u1", DEVICE, "a test"), "app", "1.0.0")
    assert await _reads_of_a_connection(world) > 3
    await orders.cancel(world.workers[0], "u1", "1", "a test")
    await _finish(world)
    assert await _reads_of_a_connection(world) == 3


async def _reads_of_a_connection(world: World) -> int:
    before = world.gate.calls
    await follow(world.workers[0], DEVICE, [News({}, look=True, connected=True)])
    return world.gate.calls - before
