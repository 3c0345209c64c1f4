"""Container `people`: those who sign in, one partition each."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class People:
    """Those who sign in, one partition each."""

    container: ContainerProxy
