"""A message path whose process dies between any two of its steps, as a seed wants it."""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, cast

from services.ingest.logic.plan import Outgoing, QueueAddress
from services.ingest.resources import Stores
from services.ingest.store.queues import Refusal

STEPS = {
    "queues": ("send",),
    "parked": ("put", "delete", "keep"),
    "records": ("create",),
    "ledgers": ("commit",),
}


class Killed(Exception):
    """The process ended here."""


class Fault:
    """Ends the process before, after or amid a step; `kills` counts.

    At least one of `at_least_every` consecutive strikes kills: a run of so many shows a kill,
    whatever the seed. There is one strike before and one after each step.
    """

    def __init__(self, rng: random.Random, at_least_every: int) -> None:
        self.kills = 0
        self._rng = rng
        self._at_least_every = at_least_every
        self._left = self._draw()

    def strike(self) -> None:
        self._left -= 1
        if self._left == 0:
            self.kills += 1
            self._left = self._draw()
            raise Killed

    def some(self, messages: Sequence[Outgoing]) -> Sequence[Outgoing]:
        return messages[: self._rng.randrange(len(messages) + 1)]

    def _draw(self) -> int:
        return self._rng.randint(1, self._at_least_every)


class FaultAt(Fault):
    """Ends the process at strike number `last`."""

    def __init__(self, last: int) -> None:
        super().__init__(random.Random(0), at_least_every=1)
        self._left = last


class _Mortal:
    """A store, and a fault around each of its steps that changes something."""

    def __init__(self, inner: Any, steps: Sequence[str], fault: Fault) -> None:
        self._inner = inner
        self._steps = steps
        self._fault = fault

    def __getattr__(self, name: str) -> Any:
        attribute: Callable[..., Any] = getattr(self._inner, name)
        if name not in self._steps:
            return attribute

        async def step(*values: Any, **named: Any) -> Any:
            self._fault.strike()
            result = await attribute(*values, **named)
            self._fault.strike()
            return result

        return step


class _MortalQueues(_Mortal):
    async def send(
        self, sends: Mapping[QueueAddress, Sequence[Outgoing]]
    ) -> Mapping[QueueAddress, Refusal]:
        try:
            self._fault.strike()
        except Killed:
            some = {address: self._fault.some(each) for address, each in sends.items()}
            await self._inner.send(some)
            raise
        refusals = await self._inner.send(sends)
        self._fault.strike()
        return cast(Mapping[QueueAddress, Refusal], refusals)


def mortal(stores: Stores, fault: Fault) -> Stores:
    """The same stores, of a process that the fault may end."""
    wrapped = {
        name: (_MortalQueues if name == "queues" else _Mortal)(getattr(stores, name), steps, fault)
        for name, steps in STEPS.items()
    }
    return replace(stores, **cast(Any, wrapped))


@contextmanager
def killed() -> Iterator[None]:
    """Goes on after a kill, and raises all else."""
    try:
        yield
    except Killed:
        return
    except ExceptionGroup as group:
        if group.split(Killed)[1]:
            raise
