"""CPU of ingest for each message, beside a bare loop of the same SDKs on the same events."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

from bench.bare_loop import Answer, Task
from bench.cases import CASES, PASSES, Case
from services.api.resources import Resources
from shared.database import STREAM
from stack.environment import NAMESPACE
from stack.local import LocalStack
from tests.load.fleet import Member, make_members
from tests.load.many_accounts import count_senders
from tests.load.process import Spent, measured
from tests.load.stream import Stream, open_stream

COMMIT_SECONDS = 120.0
IDLE_SECONDS = 5.0
FIRST = "the first message of each of as many queues: nothing cached, nothing open"


@dataclass(frozen=True)
class Cost:
    """Microseconds of CPU for a message. `bare_us` is None where there is nothing to compare."""

    case: str
    meaning: str
    messages: int
    ingest_us: float
    bare_us: float | None
    per_second: float  # messages that ingest took in a second of wall time

    @property
    def ratio(self) -> float | None:
        return None if self.bare_us is None else self.ingest_us / self.bare_us


@dataclass(frozen=True)
class Idle:
    """CPU that ingest spends in a second without messages."""

    milliseconds: float
    senders: int  # which were open


class Unfinished(Exception):
    """Messages are missing from the queues, so that a figure would mean nothing."""


async def measure(
    stack: LocalStack, resources: Resources, say: Callable[[str], None]
) -> tuple[list[Cost], Idle]:
    """All cases, one after another, on a stack with one ingest. Raises Unfinished."""
    positions = resources.azure.database.get_container_client(STREAM.name)
    costs: list[Cost] = []
    async with open_stream(stack.endpoints.eventhub, positions) as stream:
        for case in CASES:
            say(f"{case.name}: making {case.accounts} accounts ...")
            members = [each async for each in make_members(resources, case.accounts, case.gateways)]
            costs += await _Bench(stack, resources, stream, members, case).costs(say)
    say("ingest without messages ...")
    async with measured(stack.processes["ingest"].pid) as spent:
        await asyncio.sleep(IDLE_SECONDS)
    return costs, Idle(spent.cpu / IDLE_SECONDS * 1000, await count_senders(stack))


@dataclass(frozen=True)
class _Bench:
    stack: LocalStack
    resources: Resources
    stream: Stream
    members: Sequence[Member]
    case: Case

    async def costs(self, say: Callable[[str], None]) -> list[Cost]:
        """The lowest of a few passes: what else runs on the machine only ever adds."""
        case = self.case
        say(f"{case.name}: the first message of each gateway ...")
        first = await self._ingest(mid=1, rounds=1)
        passes: list[Spent] = []
        bare: list[float] = []
        for number in range(PASSES):
            count = case.gateway_count * case.rounds
            say(f"{case.name}: {count} messages, pass {number + 1} of {PASSES} ...")
            before = await self.stream.ends()
            passes.append(await self._ingest(mid=2 + number * case.rounds, rounds=case.rounds))
            bare.append((await self._bare(before, count)).cpu_seconds)
        best = min(passes, key=lambda spent: spent.cpu)
        cost = _cost(case.name, case.meaning, case.gateway_count * case.rounds, best, min(bare))
        if not case.first:
            return [cost]
        return [_cost("first", FIRST, case.gateway_count, first, None), cost]

    async def _ingest(self, mid: int, rounds: int) -> Spent:
        """What ingest spends on messages that are all in the stream before it sees the first."""
        expected = await self._queued() + self.case.gateway_count * rounds
        pid = self.stack.processes["ingest"].pid
        async with _halted(pid):
            await self.stream.put(self.case.load(self.members, mid, rounds))
            ends = await self.stream.ends()
        async with measured(pid) as spent:
            await self.stream.until_committed(ends, COMMIT_SECONDS)
        await self._check(expected)
        return spent

    async def _bare(self, after: dict[str, int], count: int) -> Answer:
        """What the bare loop spends on `count` events behind these sequence numbers."""
        task = Task(
            eventhub=self.stack.endpoints.eventhub,
            servicebus=self.stack.endpoints.servicebus,
            queues=[member.queue for member in self.members],
            after=after,
            count=count,
            sending=self.case.sending,
        )
        expected = await self._queued() + count
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.bare_loop",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await process.communicate(json.dumps(asdict(task)).encode())
        if process.returncode:
            raise Unfinished(f"{self.case.name}: the bare loop failed")
        await self._check(expected)
        return Answer(**json.loads(output))

    async def _check(self, expected: int) -> None:
        queued = await self._queued()
        if queued != expected:
            raise Unfinished(
                f"{self.case.name}: the queues hold {queued} messages instead of {expected}"
            )

    async def _queued(self) -> int:
        admin = self.resources.azure.service_bus_administration(NAMESPACE)
        mine = {member.queue for member in self.members}
        queues = admin.list_queues_runtime_properties()
        return sum([int(q.total_message_count or 0) async for q in queues if q.name in mine])


@asynccontextmanager
async def _halted(pid: int) -> AsyncIterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def _cost(case: str, meaning: str, messages: int, spent: Spent, bare: float | None) -> Cost:
    return Cost(
        case=case,
        meaning=meaning,
        messages=messages,
        ingest_us=spent.cpu / messages * 1e6,
        bare_us=None if bare is None else bare / messages * 1e6,
        per_second=messages / spent.wall,
    )
