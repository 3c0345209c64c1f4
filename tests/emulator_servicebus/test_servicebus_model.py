"""Whatever clients do, and however often the broker is killed: nothing lost, nothing doubled."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from emulator.servicebus.entity import Delivery
from emulator.servicebus.queue import NewMessage
from tests.emulator_servicebus.world import LOCK, World

MAX_DELIVERIES = 4


@dataclass
class Held:
    """A message in the model."""

    body: str
    deliveries: int = 0
    deferred: bool = False
    token: bytes | None = None
    until: int = 0


class QueueMachine(RuleBasedStateMachine):
    """A queue beside a dict; every rule is a turn of the event loop, so it ends committed."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.directory = tempfile.TemporaryDirectory()
        self.live: dict[int, Held] = {}
        self.dead: list[str] = []
        self.sent = 0
        self.turn(self.begin)

    def turn(self, action: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            await action()

        self.loop.run_until_complete(run())

    async def begin(self) -> None:
        self.world = World(Path(self.directory.name) / "azure.db")
        self.queue = self.world.create(max_delivery_count=MAX_DELIVERIES)

    def teardown(self) -> None:
        async def end() -> None:
            self.fail_all(lambda held: True)
            self.world.kill()
            queue = self.world.broker.queue("q")
            rest = [held.body for _, held in sorted(self.live.items()) if not held.deferred]
            assert [d.message.payload.decode() for d in queue.active.take(1000)] == rest
            dead = [d.message.payload.decode() for d in queue.dead_letter.take(1000)]
            assert [body.partition("|")[0] for body in dead] == self.dead
            self.world.broker.close()
            self.world.store.close()

        self.turn(end)
        self.loop.close()
        self.directory.cleanup()

    def fail_all(self, which: Callable[[Held], bool]) -> None:
        """The locks of some messages are lost."""
        for sequence, held in sorted(self.live.items(), key=lambda item: item[1].until):
            if held.token is not None and which(held):
                self.fail(sequence)

    def fail(self, sequence: int) -> None:
        held = self.live[sequence]
        held.token = None
        held.deliveries += 1
        if held.deliveries >= MAX_DELIVERIES:
            self.dead.append(self.live.pop(sequence).body)

    def lock(self, deliveries: list[Delivery]) -> None:
        for delivery in deliveries:
            held = self.live[delivery.message.sequence]
            assert held.token is None, "delivered twice"
            assert delivery.message.delivery_count == held.deliveries
            assert delivery.message.payload.decode() == held.body
            assert delivery.locked_until is not None
            held.token, held.until = delivery.token, delivery.locked_until

    def pick(self, data: st.DataObject) -> int | None:
        locked = [sequence for sequence, held in self.live.items() if held.token is not None]
        return data.draw(st.sampled_from(locked)) if locked else None

    def new_bodies(self, count: int) -> list[str]:
        self.sent += count
        return [f"m{n}" for n in range(self.sent - count, self.sent)]

    @rule(count=st.integers(1, 5))
    def send(self, count: int) -> None:
        async def act() -> None:
            bodies = self.new_bodies(count)
            for sequence, body in zip(self.world.send(self.queue, *bodies), bodies, strict=True):
                self.live[sequence] = Held(body)

        self.turn(act)

    @rule(count=st.integers(1, 5))
    def receive(self, count: int) -> None:
        async def act() -> None:
            free = [s for s, h in sorted(self.live.items()) if h.token is None and not h.deferred]
            deliveries = self.queue.active.receive(count)
            assert [d.message.sequence for d in deliveries] == free[:count]
            self.lock(deliveries)

        self.turn(act)

    @rule(data=st.data())
    def complete(self, data: st.DataObject) -> None:
        async def act() -> None:
            sequence = self.pick(data)
            if sequence is not None:
                self.queue.active.complete(self.live.pop(sequence).token or b"")

        self.turn(act)

    @rule(data=st.data(), counts=st.booleans())
    def give_back(self, data: st.DataObject, counts: bool) -> None:
        async def act() -> None:
            sequence = self.pick(data)
            if sequence is None:
                return
            held = self.live[sequence]
            if counts:
                self.queue.active.abandon(held.token or b"")
                self.fail(sequence)
            else:
                self.queue.active.release(held.token or b"")
                held.token = None

        self.turn(act)

    @rule(data=st.data())
    def defer(self, data: st.DataObject) -> None:
        async def act() -> None:
            sequence = self.pick(data)
            if sequence is not None:
                held = self.live[sequence]
                self.queue.active.defer(held.token or b"")
                held.token, held.deferred = None, True

        self.turn(act)

    @rule(data=st.data())
    def receive_deferred(self, data: st.DataObject) -> None:
        async def act() -> None:
            waiting = [s for s, h in self.live.items() if h.deferred and h.token is None]
            if waiting:
                sequence = data.draw(st.sampled_from(waiting))
                self.lock(self.queue.active.receive_deferred([sequence], delete=False))

        self.turn(act)

    @rule(data=st.data())
    def dead_letter(self, data: st.DataObject) -> None:
        async def act() -> None:
            sequence = self.pick(data)
            if sequence is not None:
                held = self.live.pop(sequence)
                self.queue.active.reject(held.token or b"", {})
                self.dead.append(held.body)

        self.turn(act)

    @rule(milliseconds=st.sampled_from([1, LOCK // 2, LOCK]))
    def wait(self, milliseconds: int) -> None:
        async def act() -> None:
            self.world.wait(milliseconds)
            self.fail_all(lambda held: held.until <= self.world.clock.now)

        self.turn(act)

    @rule(data=st.data(), change=st.sampled_from(["send", "complete", "defer", "reject", "none"]))
    def kill_before_the_commit(self, data: st.DataObject, change: str) -> None:
        async def act() -> None:
            sequence = self.pick(data)
            token = self.live[sequence].token if sequence is not None else None
            if change == "send":
                self.queue.send([NewMessage(b"never acknowledged")])
            elif token is not None and change == "complete":
                self.queue.active.complete(token)
            elif token is not None and change == "defer":
                self.queue.active.defer(token)
            elif token is not None and change == "reject":
                self.queue.active.reject(token, {})
            self.world.kill()
            self.queue = self.world.broker.queue("q")
            for number in sorted(self.live):
                if self.live[number].token is not None:
                    self.fail(number)

        self.turn(act)

    @invariant()
    def counts_agree(self) -> None:
        deferred = sum(held.deferred for held in self.live.values())
        totals = self.queue.active.log.totals
        assert totals[:3] == (len(self.live) - deferred, deferred, 0)
        assert self.queue.dead_letter.log.totals[0] == len(self.dead)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
