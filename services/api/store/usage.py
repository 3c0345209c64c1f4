"""Container `usage`: when each API key was last used, from where, for what."""

import asyncio
import random
from dataclasses import dataclass

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from services.api.documents.usage import KeyUse, together
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
        try:
            async with cosmos_call():
                await self.container.delete_item(key_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return

    async def _add_once(self, use: KeyUse) -> bool:
        try:
            async with cosmos_call():
                item = await self.container.read_item(use.id, partition_key=use.user_id)
        except CosmosResourceNotFoundError:
            return await self._create(use)
        both = together(KeyUse.model_validate(item), use)
        try:
            async with cosmos_call():
                await self.container.replace_item(
                    use.id,
                    both.model_dump(mode="json"),
                    etag=item["_etag"],
                    match_condition=MatchConditions.IfNotModified,
                )
        except (CosmosAccessConditionFailedError, CosmosResourceNotFoundError):
            return False
        return True

    async def _create(self, use: KeyUse) -> bool:
        try:
            async with cosmos_call():
                await self.container.create_item(use.model_dump(mode="json"))
        except CosmosResourceExistsError:
            return False
        return True
