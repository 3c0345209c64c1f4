"""Three bugs put into ingest on purpose: the harness finds each, by a fault that aims at it."""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ledger.evidence import read_documents
from tests.ledger.faults import INGESTS
from tests.ledger.oracle import Rules
from tests.ledger.plan import GatewayPlan, Send
from tests.ledger.run import judge
from tests.ledger.settle import settle
from tests.ledger.world import Setting, World, open_world
from tests.one_day import within_one_day

pytestmark = pytest.mark.timeout(300)
WAIT_SECONDS = 80.0  # for what takes ten, on a machine that stands still
MESSAGES = 10  # of each gateway
GATEWAYS = 8
BURST = MESSAGES * GATEWAYS
FIRST, SECOND = INGESTS


async def test_a_position_committed_before_sending_loses_messages(tmp_path: Path) -> None:
    async with open_world(tmp_path, _setting("position_first")) as world:
        await world.start_fleet("fleet", _bursts(world))
        # What is counted must have been sent, and nothing can have been without the gate.
        await _until(lambda: _counted(world, at_least=1))
        await world.stack.processes[FIRST].kill()
        world.gate.touch()
        await world.stack.processes[FIRST].start()
        found = await _found(world)
        assert "lost" in found
        assert "unsettled" not in found


async def test_without_the_check_of_mids_repetitions_are_counted(tmp_path: Path) -> None:
    await within_one_day(60)
    setting = _setting("mid_check_off", repeats=0.3, lost_pubacks=0.1)
    async with open_world(tmp_path, setting) as world:
        await world.start_fleet("fleet", _bursts(world))
        found = await _found(world)
        assert {"statistics", "quota"} <= found
        assert found.isdisjoint({"lost", "unsettled"})


async def test_without_the_check_of_the_etag_a_process_that_stood_still_undoes_what_another_did(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, _setting("etag_check_off")) as world:
        first = world.stack.processes[FIRST]
        await _burst(world, "fleet-1")
        await _until(lambda: _counted(world, at_least=BURST))  # all partitions are its own
        first.pause()
        await _burst(world, "fleet-2")  # waits in the sockets of the first
        await world.start_ingest(SECOND)
        await _until(lambda: _counted(world, at_least=2 * BURST))  # the second has taken over
        await _burst(world, "fleet-3")
        await _until(lambda: _counted(world, at_least=3 * BURST))

        async def undone() -> bool:
            return not await _counted(world, at_least=3 * BURST)

        with _without_blobs(world):  # where it would read that its partitions are another's
            first.resume()
            await _until(undone)
            await first.kill()  # before it takes partitions again, and does all anew
        # The position went back as well, and nobody moves it on now.
        assert {"statistics", "unsettled"} <= await _found(world, seconds=3)


def _setting(bug: str, *, repeats: float = 0.0, lost_pubacks: float = 0.0) -> Setting:
    return Setting(
        accounts=3,
        gateways=GATEWAYS,
        unpaired=0,
        rules=Rules(),
        repeats=repeats,
        lost_pubacks=lost_pubacks,
        bug=bug,
        ingests=[FIRST],
    )


def _bursts(world: World) -> list[GatewayPlan]:
    sends = [Send(at=0, kind="data", size=200) for _ in range(MESSAGES)]
    return [each.model_copy(update={"sends": sends}) for each in world.gateways]


async def _burst(world: World, fleet: str) -> None:
    await world.start_fleet(fleet, _bursts(world))
    await _until(lambda: _is_idle(world, fleet))
    await world.stack.processes[fleet].stop()


@contextmanager
def _without_blobs(world: World) -> Iterator[None]:
    """Blob Storage, the one child of the local Azure, stands still."""
    azure = world.stack.processes["azure"].pid
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    )
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    (blobs,) = (pid for pid, parent in pairs if parent == azure)
    os.kill(blobs, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(blobs, signal.SIGCONT)


async def _found(world: World, seconds: float = WAIT_SECONDS) -> set[str]:
    """The kinds of violations, once all is as quiet as it gets."""
    await settle(world, seconds, lambda _text: None)
    return {each.kind for each in (await judge(world)).report.violations}


async def _counted(world: World, *, at_least: int) -> bool:
    """Whether the statistics of all gateways together say so many messages."""
    documents = await read_documents(world.platform.resources.azure.database)
    return sum(each.messages for each in documents.ledgers) >= at_least


async def _is_idle(world: World, fleet: str) -> bool:
    return world.idle(fleet)


async def _until(look: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not await look():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)
