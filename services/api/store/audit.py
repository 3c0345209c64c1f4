"""Container `audit`: who did what, one partition for each account."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class Audit:
    """Who did what, one partition for each account."""

    container: ContainerProxy
