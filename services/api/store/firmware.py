"""Container `firmware`, one partition for each type of gateway."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class FirmwareVersions:
    """Container `firmware`, one partition for each type of gateway."""

    container: ContainerProxy
