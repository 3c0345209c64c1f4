"""Stores whose process ends at a chosen step of what runs on them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

from services.api.logic import pairing

WRITES = {"replace", "put", "delete", "patch_twin", "invoke_method", "purge_messages"}


class KilledError(BaseException):
    """The process ended here; nothing in it can catch this."""


class Steps:
    """Calls `at` after each step (a write to Cosmos DB or IoT Hub), with the step's number.

    `reads`: a read of a group or a device is a step too, so that another can come between what
    is read and what is written.
    """

    def __init__(
        self,
        stores: pairing.Stores,
        at: Callable[[int], Awaitable[None]],
        *,
        reads: bool = False,
    ) -> None:
        self.count = 0
        self._at = at
        self.stores = replace(
            stores,
            groups=self.watched(stores.groups, reads=reads),
            gateways=self.watched(stores.gateways),
            devices=self.watched(stores.devices, reads=reads),
            hub=self.watched(stores.hub),
        )

    def watched(self, store: object, *, reads: bool = False) -> Any:
        """A store as it is, whose calls are steps."""
        return cast("Any", _Watched(store, self, reads=reads))

    async def done(self) -> None:
        self.count += 1
        await self._at(self.count)


def killed_after(stores: pairing.Stores, step: int) -> Steps:
    async def at(number: int) -> None:
        if number == step:
            raise KilledError

    return Steps(stores, at)


class _Watched:
    def __init__(self, store: object, steps: Steps, *, reads: bool) -> None:
        self._store = store
        self._steps = steps
        self._reads = reads

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in WRITES and not self._reads:
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            result = await method(*arguments, **named)
            await self._steps.done()
            return result

        return call
