"""What stands behind an AMQP address: the seam between the AMQP server and the services.

The server (connection, sessions, links, flow control, SASL, `$cbs`) knows no queue; Service
Bus, Event Hubs and IoT Hub know no frame. A service answers for its addresses with nodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, Protocol, runtime_checkable

from emulator.sas import SasToken


class Right(StrEnum):
    """What a shared access rule allows."""

    LISTEN = "Listen"
    SEND = "Send"
    MANAGE = "Manage"


class AmqpError(Exception):
    """Refuses an attach, a transfer or a request with an AMQP error condition."""

    def __init__(self, condition: str, description: str, info: Mapping[str, Any] | None = None):
        super().__init__(f"{condition}: {description}")
        self.condition = condition  # for example "amqp:not-found"
        self.description = description
        self.info = info or {}


class Verdict(Enum):
    """How a delivery ended, by the code of its AMQP outcome."""

    ACCEPTED = 0x24
    REJECTED = 0x25
    RELEASED = 0x26
    MODIFIED = 0x27


@dataclass(frozen=True)
class Outcome:
    """A delivery's terminal state, as the receiver sends it or the server echoes it."""

    verdict: Verdict
    error: AmqpError | None = None  # REJECTED: dead-lettering carries reason and description here
    delivery_failed: bool = False  # MODIFIED
    undeliverable_here: bool = False  # MODIFIED: Service Bus reads it as "defer"
    annotations: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Attach:
    """What a client asked for when it attached a link."""

    address: str  # without scheme and host: "user-1", "hub/ConsumerGroups/$Default/Partitions/0"
    settled: bool  # the sender settles at once: receive-and-delete, or fire and forget
    selector: str | None  # the apache.org:selector-filter:string of a source
    properties: Mapping[str, Any]
    capabilities: frozenset[str] = frozenset()  # the extensions that the client desires


class OutgoingLink(Protocol):
    """The server's end of a link that delivers to a client."""

    @property
    def credit(self) -> int:
        """How many deliveries the client still takes."""
        ...

    def send(self, payload: bytes, tag: bytes, *, settled: bool, message_format: int = 0) -> int:
        """Deliver an encoded message; returns its delivery id."""
        ...

    def detach(self, error: AmqpError) -> None:
        """Close the link from this side, as when its queue is deleted."""
        ...


class IncomingLink(Protocol):
    """The server's end of a link on which a client sends."""

    def detach(self, error: AmqpError) -> None:
        """Close the link from this side, as when its queue is deleted."""
        ...


class Source(Protocol):
    """A node's side of one link that delivers to a client."""

    def pump(self) -> None:
        """Send what is there while the link has credit. Called when credit arrives."""
        ...

    def settle(self, delivery_id: int, outcome: Outcome) -> Outcome | None:
        """The client's verdict. What is returned is echoed, settled, once the store is durable."""
        ...

    def close(self) -> None:
        """The link, its session or its connection is gone."""
        ...


class Target(Protocol):
    """A node's side of one link on which a client sends."""

    def receive(self, payload: bytes, message_format: int) -> None:
        """Take one delivery; it is accepted once the store is durable. AmqpError rejects it."""
        ...

    def close(self) -> None:
        """The link, its session or its connection is gone."""
        ...


class Node(Protocol):
    """An address that links attach to. Both methods may raise AmqpError."""

    def open_source(self, attach: Attach, link: OutgoingLink) -> Source: ...

    def open_target(self, attach: Attach, link: IncomingLink) -> Target: ...


@dataclass(frozen=True)
class Request:
    """A request to a `$management` node."""

    operation: str
    properties: Mapping[str, Any]  # the application properties
    body: Any
    rights: frozenset[Right] = frozenset()  # what the connection's tokens allow on the address


@dataclass(frozen=True)
class Response:
    """Its answer. `status` follows HTTP; `condition` names the AMQP error from 400 on."""

    status: int
    description: str
    body: Any = None
    condition: str | None = None


@runtime_checkable
class ManagementNode(Protocol):
    """An address that answers requests: `{entity}/$management`."""

    async def respond(self, request: Request) -> Response: ...


class Service(Protocol):
    """Service Bus, Event Hubs or IoT Hub: the owner of some of the addresses."""

    @property
    def max_message_size(self) -> int:
        """Bytes of one delivery; links announce it, and a larger delivery detaches them."""
        ...

    def owns(self, address: str) -> bool:
        """Whether the address (or the path of a token's resource) is this service's."""
        ...

    def rights(self, address: str, token: SasToken) -> frozenset[Right]:
        """What a token allows on an address. Raises SasError where it allows nothing."""
        ...

    def node(self, address: str) -> Node | ManagementNode:
        """The node at an address. Raises AmqpError amqp:not-found."""
        ...
