"""Container `notifications`, one partition for each account."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class Notifications:
    """Container `notifications`, one partition for each account."""

    container: ContainerProxy
