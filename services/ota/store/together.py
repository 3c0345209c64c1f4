"""Point reads that are wanted at the same time, as one call of the database."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosResourceNotFoundError

from shared.cosmos import cosmos_call

MOST = 100  # documents of a call

Key = tuple[str, str]  # id and account
Item = Mapping[str, Any]


@dataclass
class Together:
    """Documents of a container whose partition key is /user_id.

    One call is under way at a time, and whoever comes meanwhile is in the next: what is answered
    was read after it was asked for. A caller who is alone costs a point read.
    """

    container: ContainerProxy
    _wanted: dict[Key, asyncio.Future[Item | None]] = field(default_factory=dict)
    _reading: asyncio.Task[None] | None = None

    async def get(self, item_id: str, user_id: str) -> Item | None:
        """None where there is none. Raises Unavailable."""
        key = (item_id, user_id)
        if key not in self._wanted:
            future = asyncio.get_running_loop().create_future()
            # Whoever asked may have hung up, and nobody asks then how it ended.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._wanted[key] = future
        coming = asyncio.shield(self._wanted[key])
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await coming

    async def _read(self) -> None:
        try:
            while self._wanted:
                some = dict(islice(self._wanted.items(), MOST))
                for key in some:
                    del self._wanted[key]
                await self._answer(some)
        finally:
            self._reading = None

    async def _answer(self, some: Mapping[Key, asyncio.Future[Item | None]]) -> None:
        try:
            found = await self._items(list(some))
        except Exception as error:  # each of them raises it
            for future in some.values():
                future.set_exception(error)
            return
        for key, future in some.items():
            future.set_result(found.get(key))

    async def _items(self, keys: list[Key]) -> Mapping[Key, Item]:
        if len(keys) > 1:
            async with cosmos_call():
                items = await self.container.read_items(keys)
            return {(item["id"], item["user_id"]): item for item in items}
        try:
            async with cosmos_call():
                item = await self.container.read_item(keys[0][0], partition_key=keys[0][1])
        except CosmosResourceNotFoundError:
            return {}
        return {keys[0]: item}
