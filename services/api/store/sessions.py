"""Container `sessions`: who is signed in, one partition for each account."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class Sessions:
    """Who is signed in, one partition for each account."""

    container: ContainerProxy
