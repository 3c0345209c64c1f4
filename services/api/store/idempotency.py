"""Container `idempotency`: what was answered to an Idempotency-Key."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class Idempotency:
    """What was answered to an idempotency-key."""

    container: ContainerProxy
