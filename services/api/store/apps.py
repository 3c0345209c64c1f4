"""Container `apps`: apps and their versions, one partition for each account."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class Apps:
    """Apps and their versions, one partition for each account."""

    container: ContainerProxy
