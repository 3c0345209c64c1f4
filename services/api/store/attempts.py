"""Container `attempts`: how often something was tried in vain."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class Attempts:
    """How often something was tried in vain."""

    container: ContainerProxy
