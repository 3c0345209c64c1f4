"""One event hub: its partitions, consumer groups and addresses."""

from collections.abc import Iterable

from emulator.amqp.node import AmqpError, Node
from emulator.eventhubs.log import Partition
from emulator.eventhubs.nodes import ReceiverGroup, SenderNode, partition_of, turns
from emulator.store import Store

DEFAULT_GROUP = "$Default"


class Hub:
    """Finds the node of an address below the hub, and the partition of a key."""

    def __init__(
        self, store: Store, name: str, partitions: int, consumer_groups: Iterable[str]
    ) -> None:
        self.name = name
        self.partitions = [Partition(store, name, str(number)) for number in range(partitions)]
        self._turns = turns(partitions)
        groups = {DEFAULT_GROUP.lower(), *(group.lower() for group in consumer_groups)}
        self._receivers = {
            (group, partition.name): ReceiverGroup(partition)
            for group in groups
            for partition in self.partitions
        }
        self._groups = groups

    def choose(self, key: str | None) -> Partition:
        """The partition of a key; without one, the next in turn."""
        count = len(self.partitions)
        number = next(self._turns) % count if key is None else partition_of(key, count)
        return self.partitions[number]

    def partition(self, name: str) -> Partition:
        """A partition by its id. Raises AmqpError."""
        for partition in self.partitions:
            if partition.name == name:
                return partition
        count = len(self.partitions)
        reason = f"'{self.name}' has the partitions 0 to {count - 1}, not '{name}'"
        raise AmqpError("amqp:not-found", reason)

    def node(self, path: list[str]) -> Node:
        """The node of an address, its segments behind the hub's name. Raises AmqpError."""
        match path:
            case []:
                return SenderNode(self, None)
            case [kind, name] if kind.lower() == "partitions":
                return SenderNode(self, self.partition(name))
            case [kind, group, below, name] if (
                kind.lower() == "consumergroups" and below.lower() == "partitions"
            ):
                if group.lower() not in self._groups:
                    reason = f"'{self.name}' has no consumer group '{group}'"
                    raise AmqpError("amqp:not-found", reason)
                return self._receivers[group.lower(), self.partition(name).name]
        raise AmqpError("amqp:not-found", f"'{self.name}' has no node '{'/'.join(path)}'")
