"""Container `timeline`, one partition for each device."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class Timeline:
    """Container `timeline`, one partition for each device."""

    container: ContainerProxy
