"""Container `namespaces`: how many accounts each Service Bus namespace has."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy
from azure.cosmos.exceptions import CosmosAccessConditionFailedError

from services.api.documents.namespaces import NamespaceCount
from shared import point
from shared.cosmos import cosmos_call


@dataclass(frozen=True)
class Namespaces:
    """Counters: each call is one operation on one document."""

    container: ContainerProxy

    async def accounts(self, name: str) -> int | None:
        """How many accounts the namespace has; None where nobody has counted yet."""
        found = await point.read(self.container, NamespaceCount, name, name)
        return found[0].accounts if found else None

    async def begin(self, name: str, accounts: int) -> None:
        """The first count; where there is one already, that one stays."""
        await point.create(self.container, NamespaceCount(id=name, accounts=accounts))

    async def put(self, name: str, accounts: int) -> None:
        """A new count in the old one's place."""
        count = NamespaceCount(id=name, accounts=accounts)
        async with cosmos_call():
            await self.container.upsert_item(count.model_dump(mode="json"))

    async def take(self, name: str, capacity: int) -> bool:
        """Count one account more; False where the namespace has `capacity` already."""
        return await self._add(name, 1, f"from c where c.accounts < {capacity:d}")

    async def give_back(self, name: str) -> None:
        """Count one account less."""
        await self._add(name, -1, "from c where c.accounts > 0")

    async def _add(self, name: str, change: int, condition: str) -> bool:
        try:
            async with cosmos_call():
                await self.container.patch_item(
                    name,
                    partition_key=name,
                    patch_operations=[{"op": "incr", "path": "/accounts", "value": change}],
                    filter_predicate=condition,
                )
        except CosmosAccessConditionFailedError:
            return False
        return True
