"""The tests of this folder share one stack."""

from tests.api_fixtures import alice, bob, boiler, client, pump, resources, stack, stores

__all__ = ["alice", "bob", "boiler", "client", "pump", "resources", "stack", "stores"]
