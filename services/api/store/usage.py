"""Container `usage`: when each API key was last used, from where, for what."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class Usage:
    """When each api key was last used, from where, for what."""

    container: ContainerProxy
