"""Container `user_messages`: the outbox, one partition for each device."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class UserMessages:
    """The outbox, one partition for each device."""

    container: ContainerProxy
