"""Container `namespaces`: how many accounts each Service Bus namespace has."""

from dataclasses import dataclass

from azure.cosmos.aio import ContainerProxy


@dataclass(frozen=True)
class Namespaces:
    """How many accounts each service bus namespace has."""

    container: ContainerProxy
