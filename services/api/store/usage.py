"""Container `usage`: when each API key was last used, from where, for what."""

import asyncio
import random
from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy

from services.api.documents.usage import KeyUse, together
from shared import point
from shared.cosmos import LIST_PAGE, LIST_SECONDS, cosmos_call
from shared.errors import Unavailable

ATTEMPTS = 8  # under an ETag: several processes count at the same time
FIRST_WAIT_SECONDS = 0.01  # doubles with each attempt, and is spread


@dataclass(frozen=True)
class Usage:
    """One document for each API key, in its account's partition."""

    container: ContainerProxy

    async def of_account(self, user_id: str) -> list[KeyUse]:
        """The use of all keys that the account has or had."""
        async with cosmos_call(LIST_SECONDS):
            items = self.container.query_items(
                "SELECT * FROM c", partition_key=user_id, max_item_count=LIST_PAGE
            )
            return [KeyUse.model_validate(item) async for item in items]

    async def add(self, use: KeyUse) -> None:
        """Count on top of what is there. Raises Unavailable, and then nothing was counted."""
        wait = FIRST_WAIT_SECONDS
        for _ in range(ATTEMPTS):
            if await self._add_once(use):
                return
            await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
            wait *= 2
        raise Unavailable("Others count the use of the same key all the time.")

    async def delete(self, user_id: str, key_id: str) -> None:
        """Nothing happens where there is none."""
        await point.delete(self.container, key_id, user_id)

    async def _add_once(self, use: KeyUse) -> bool:
        found = await point.read(self.container, KeyUse, use.id, use.user_id)
        both = together(found[0], use) if found else use
        return await point.put(self.container, both, found[1] if found else None)
