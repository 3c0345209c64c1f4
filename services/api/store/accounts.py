"""Container `accounts`."""

from dataclasses import dataclass
from typing import Any

from azure.cosmos.aio import ContainerProxy

from services.api.store.feed import read_feed
from shared import point
from shared.cosmos import LIST_SECONDS, cosmos_call
from shared.schemas.accounts import Account


@dataclass(frozen=True)
class AccountPage:
    """Some accounts, and the cursor of the next page; "" after the last."""

    accounts: list[Account]
    next: str


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
        return await point.read(self.container, Account, user_id, user_id)

    async def create(self, account: Account) -> bool:
        """False where the account exists already."""
        return await point.create(self.container, account) is not None

    async def replace(self, account: Account, etag: str) -> bool:
        """False where the account changed since it was read."""
        return await point.replace(self.container, account, etag) is not None

    async def page(self, limit: int, cursor: str = "") -> AccountPage:
        """Accounts of the whole platform, for its operator; costs what the page holds.

        Raises InvalidRequest for a cursor that no page gave.
        """
        page = await read_feed(self.container, limit=limit, cursor=cursor)
        return AccountPage([Account.model_validate(item) for item in page.items], page.next)

    async def count_in(self, namespace: str) -> int:
        """How many accounts a Service Bus namespace holds; reads all partitions' index."""
        query = "SELECT VALUE COUNT(1) FROM c WHERE c.servicebus_namespace = @namespace"
        async with cosmos_call(LIST_SECONDS):
            found = self.container.query_items(
                query, parameters=[{"name": "@namespace", "value": namespace}]
            )
            counts: list[Any] = [count async for count in found]
        return sum(counts)

    async def ping(self) -> None:
        """Return when the database answers."""
        async with cosmos_call():
            await self.container.read()
