"""Service Bus behind the AMQP server: which address is whose, and which key opens it."""

import re
from collections.abc import Iterator

from emulator.amqp.node import Right
from emulator.sas import SasError, SasToken
from emulator.servicebus import errors
from emulator.servicebus.broker import Broker
from emulator.servicebus.envelope import amend
from emulator.servicebus.management import Management
from emulator.servicebus.nodes import QueueNode
from emulator.servicebus.queue import DEAD_LETTER_SUFFIX
from emulator.servicebus.settings import MAX_MESSAGE_BYTES, MEBIBYTE
from emulator.store import Store

ROOT_RULE = "RootManageSharedAccessKey"

_MANAGEMENT = re.compile(r"/\$management$", re.IGNORECASE)
_DEAD_LETTER = re.compile(re.escape(DEAD_LETTER_SUFFIX) + "$", re.IGNORECASE)
_NOT_EMULATED = re.compile(r"/subscriptions/|/\$transfer(/|$)", re.IGNORECASE)
_EVERYTHING = frozenset(Right)


class ServiceBus:
    """The namespace as a `Service`. Made inside a running event loop."""

    def __init__(self, store: Store, root_key: bytes, *, megabyte: int = MEBIBYTE) -> None:
        """`root_key` is the key of RootManageSharedAccessKey, its text as bytes.

        `megabyte`: the bytes that count as one of a queue's size.
        """
        self.broker = Broker(store, amend, megabyte=megabyte)
        self.store = store
        self._root_key = root_key

    @property
    def max_message_size(self) -> int:
        """Bytes of a message or a batch."""
        return MAX_MESSAGE_BYTES

    def owns(self, address: str) -> bool:  # noqa: ARG002 (the seam's signature)
        """Whatever the other services, asked first, do not own."""
        return True

    def rights(self, address: str, token: SasToken) -> frozenset[Right]:
        """What a token allows on a queue (or, for "", on the namespace). Raises SasError."""
        resource = f"{token.resource.partition('/')[0]}/{address.strip('/')}".rstrip("/")
        problem = SasError(f"no rule '{token.key_name[:64]}' opens this entity")
        for key, rights in self._keys(address, token.key_name):
            try:
                token.verify(key, resource)
            except SasError as error:
                problem = error
            else:
                return rights
        raise problem

    def node(self, address: str) -> QueueNode | Management:
        """Raises AmqpError amqp:not-found."""
        if _NOT_EMULATED.search(address):
            raise errors.not_implemented("topics, subscriptions and transfer queues")
        path = address.strip("/")
        entity_path = _MANAGEMENT.sub("", path)
        queue_path = _DEAD_LETTER.sub("", entity_path)
        queue = self.broker.queue(queue_path)
        entity = queue.active if queue_path == entity_path else queue.dead_letter
        if entity_path != path:
            return Management(self.store, queue, entity)
        return QueueNode(self.store, queue, entity)

    def close(self) -> None:
        """Stop the timers; the store is the caller's."""
        self.broker.close()

    def _keys(self, address: str, rule_name: str) -> Iterator[tuple[bytes, frozenset[Right]]]:
        if rule_name == ROOT_RULE:
            yield self._root_key, _EVERYTHING
        queue_path = _DEAD_LETTER.sub("", _MANAGEMENT.sub("", address.strip("/")))
        queue = self.broker.find(queue_path)
        for rule in queue.rules if queue is not None else ():
            if rule.name == rule_name:
                yield rule.primary_key.encode(), rule.rights
                yield rule.secondary_key.encode(), rule.rights
