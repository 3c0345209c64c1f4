"""Azure Cosmos DB (NoSQL API) on one machine."""

from emulator.cosmos.app import cosmos_app

__all__ = ["cosmos_app"]
