"""Container `accounts`."""

from collections import Counter
from dataclasses import dataclass

from azure.core import MatchConditions
from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from services.api.store.cosmos import LIST_PAGE, LIST_SECONDS, cosmos_call
from shared.schemas.accounts import Account


@dataclass(frozen=True)
class Accounts:
    """Each account is a partition of one document."""

    container: ContainerProxy

    async def get(self, user_id: str) -> Account | None:
        """A point read."""
        found = await self.get_with_etag(user_id)
        return found[0] if found else None

    async def get_with_etag(self, user_id: str) -> tuple[Account, str] | None:
        """A point read, with the ETag that `replace` wants."""
        try:
            async with cosmos_call():
                item = await self.container.read_item(user_id, partition_key=user_id)
        except CosmosResourceNotFoundError:
            return None
        return Account.model_validate(item), item["_etag"]

    async def create(self, account: Account) -> bool:
        """False where the account exists already."""
        try:
            async with cosmos_call():
                await self.container.create_item(account.model_dump(mode="json"))
        except CosmosResourceExistsError:
            return False
        return True

    async def replace(self, account: Account, etag: str) -> bool:
        """False where the account changed since it was read."""
        try:
            async with cosmos_call():
                await self.container.replace_item(
                    account.id,
                    account.model_dump(mode="json"),
                    etag=etag,
                    match_condition=MatchConditions.IfNotModified,
                )
        except CosmosAccessConditionFailedError:
            return False
        return True

    async def all(self) -> list[Account]:
        """Every account of the platform, for its operator."""
        async with cosmos_call(LIST_SECONDS):
            items = [item async for item in self.container.read_all_items(max_item_count=LIST_PAGE)]
        return sorted((Account.model_validate(item) for item in items), key=lambda a: a.user_id)

    async def count_by_namespace(self) -> Counter[str]:
        """How many accounts each Service Bus namespace holds."""
        query = "SELECT c.servicebus_namespace FROM c"
        async with cosmos_call(LIST_SECONDS):
            items = self.container.query_items(query, max_item_count=LIST_PAGE)
            return Counter([item["servicebus_namespace"] async for item in items])

    async def ping(self) -> None:
        """Return when the database answers."""
        async with cosmos_call():
            await self.container.read()
