"""Stores whose process ends at a chosen step of what runs on them."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

from services.api.logic import pairing

WRITES = {"replace", "put", "delete", "patch_twin", "invoke_method", "purge_messages"}


class KilledError(BaseException):
    """The process ended here; nothing in it can catch this."""


class Steps:
    """Calls `at` after each step (a write to Cosmos DB or IoT Hub), with the step's number."""

    def __init__(self, stores: pairing.Stores, at: Callable[[int], Awaitable[None]]) -> None:
        self.count = 0
        self._at = at
        self.stores = replace(
            stores,
            gateways=cast("Any", _Watched(stores.gateways, self)),
            devices=cast("Any", _Watched(stores.devices, self)),
            hub=cast("Any", _Watched(stores.hub, self)),
        )

    async def done(self) -> None:
        self.count += 1
        await self._at(self.count)


def killed_after(stores: pairing.Stores, step: int) -> Steps:
    async def at(number: int) -> None:
        if number == step:
            raise KilledError

    return Steps(stores, at)


class _Watched:
    """A store as it is, whose writes are counted."""

    def __init__(self, store: object, steps: Steps) -> None:
        self._store = store
        self._steps = steps

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in WRITES:
            return method

        async def call(*arguments: Any, **named: Any) -> Any:
            result = await method(*arguments, **named)
            await self._steps.done()
            return result

        return call
