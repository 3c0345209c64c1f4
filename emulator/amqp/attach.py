"""What a client may attach to, and what the link is then connected with (part 2 §2.6.3)."""

import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from emulator.amqp.authorization import address_path
from emulator.amqp.codec import DecodeError, list_fields
from emulator.amqp.frames import Frame, Performative, frame
from emulator.amqp.links import Link, ReceivingLink, SendingLink
from emulator.amqp.node import AmqpError, Attach, ManagementNode, Right, Service
from emulator.amqp.requests import CBS_ADDRESS, CbsNode, RequestTarget, ResponseSource
from emulator.amqp.types import Array, Described, Encoded, UByte, UInt, ULong
from emulator.sas import SasError

if TYPE_CHECKING:
    from emulator.amqp.session import Session

log = logging.getLogger(__name__)

SELECTOR = "apache.org:selector-filter:string"
# Bytes of a request: $management may schedule a batch of messages.
MAX_REQUEST_SIZE = 1 << 20
_NULL = Encoded(b"\x40")
_SETTLED = 1


def attach_link(session: "Session", received: Frame) -> None:
    """Answer an attach: with a link, or with null terminuses and a detach that says why."""
    name, handle, delivers = received.fields[:3]
    if not isinstance(name, str) or not isinstance(delivers, bool):
        raise DecodeError("an attach has no name or no role")
    raw, _ = list_fields(received.raw, 0)
    raw += [_NULL] * (14 - len(raw))
    try:
        link, max_size = _open(session, received.fields)
    except AmqpError as refusal:
        log.info("amqp: refused a link: %s", one_line(refusal))
        session.write(_answer(session.channel, received.fields, raw, None))
        session.refuse(handle, refusal)
        return
    session.write(_answer(session.channel, received.fields, raw, max_size))
    session.links[handle] = link
    if isinstance(link, ReceivingLink):
        link.grant()


def _open(session: "Session", fields: list[Any]) -> tuple[Link, int]:
    """The link, and the largest message on it in bytes. Raises AmqpError."""
    handle, delivers, settle_mode = fields[1], fields[2], fields[3]
    source, target = _terminus(fields[5]), _terminus(fields[6])
    address = _address(source if delivers else target)
    authorization = session.connection.authorization
    properties = fields[13] if isinstance(fields[13], dict) else {}
    attach = Attach(
        address=address,
        settled=settle_mode == _SETTLED,
        selector=_selector(source) if delivers else None,
        properties={str(key): value for key, value in properties.items()},
        capabilities=_symbols(fields[12]),
    )
    if address == CBS_ADDRESS:
        cbs = CbsNode(authorization)
        return _requests(session, fields, attach=attach, target=target, node=cbs, service=None)
    service = session.connection.service_of(address)
    rights = authorize(session, service, address)
    node = service.node(address)
    if isinstance(node, ManagementNode):
        return _requests(session, fields, attach=attach, target=target, node=node, service=service)
    if delivers:
        _require(rights, Right.LISTEN, address)
        outgoing = SendingLink(session, handle, address)
        outgoing.source = node.open_source(attach, outgoing)
        return outgoing, service.max_message_size
    _require(rights, Right.SEND, address)
    count, max_size = _delivery_count(fields), service.max_message_size
    incoming = ReceivingLink(session, handle, address, count, max_size)
    incoming.target = node.open_target(attach, incoming)
    return incoming, max_size


def _requests(
    session: "Session",
    fields: list[Any],
    *,
    attach: Attach,
    target: list[Any] | None,
    node: ManagementNode,
    service: Service | None,
) -> tuple[Link, int]:
    """A link of a pair: requests come on one, responses go on the other."""
    address, handle = attach.address, fields[1]
    if fields[2]:
        outgoing = SendingLink(session, handle, address)
        outgoing.needs = None
        outgoing.reply_address = str(target[0]) if target and target[0] else ""
        outgoing.source = ResponseSource(outgoing)
        return outgoing, MAX_REQUEST_SIZE
    incoming = ReceivingLink(session, handle, address, _delivery_count(fields), MAX_REQUEST_SIZE)
    incoming.needs = None
    rights = partial(authorize, session, service, address) if service else frozenset[Right]
    incoming.target = RequestTarget(incoming, node, rights)
    return incoming, MAX_REQUEST_SIZE


def authorize(session: "Session", service: Service, address: str) -> frozenset[Right]:
    """What the connection's tokens allow on an address. Raises AmqpError where nothing."""
    try:
        return session.connection.authorization.rights(service, address)
    except SasError as problem:
        description = f"'{address}' is not open to this connection: {problem}"
        raise AmqpError("amqp:unauthorized-access", description) from None


def one_line(refusal: AmqpError) -> str:
    """A refusal for the log: what a client wrote may hold line breaks, and be long."""
    return f"{refusal.condition}: {refusal.description[:300]!r}"


def _require(rights: frozenset[Right], right: Right, address: str) -> None:
    if right not in rights:
        description = f"'{right}' claim(s) are required to perform this operation on '{address}'"
        raise AmqpError("amqp:unauthorized-access", description)


def _delivery_count(fields: list[Any]) -> int:
    return fields[9] if isinstance(fields[9], int) else 0


def _answer(channel: int, fields: list[Any], raw: list[Encoded], max_size: int | None) -> bytes:
    """Source and target are echoed as they came: uamqp compares their types."""
    name, handle, delivers = fields[:3]
    source, target = (raw[5], raw[6]) if max_size is not None else (_NULL, _NULL)
    answer = [
        name,
        UInt(handle),
        not delivers,
        UByte(fields[3] or 0),
        UByte(fields[4] or 0),
        source,
        target,
        None,
        None,
        UInt(0) if delivers else None,
        ULong(max_size or 0),
        None,
        None,
        {},
    ]
    return frame(channel, Performative.ATTACH, answer)


def _terminus(value: Any) -> list[Any] | None:
    if value is None:
        return None
    if not isinstance(value, Described) or not isinstance(value.value, list):
        raise AmqpError("amqp:invalid-field", "a source or target is not one")
    return value.value + [None] * (11 - len(value.value))


def _address(terminus: list[Any] | None) -> str:
    if terminus is None or not isinstance(terminus[0], str) or not terminus[0]:
        if terminus is not None and terminus[4]:
            raise AmqpError("amqp:not-implemented", "dynamic nodes are not emulated")
        raise AmqpError("amqp:invalid-field", "the link has no address")
    return address_path(terminus[0])


def _selector(source: list[Any] | None) -> str | None:
    filters = source[7] if source else None
    if filters is None:
        return None
    if not isinstance(filters, dict):
        raise AmqpError("amqp:invalid-field", "a filter set is not a map")
    for key in filters:
        if str(key) != SELECTOR:
            raise AmqpError("amqp:not-implemented", f"the filter {key} is not emulated")
    value = filters.get(SELECTOR)
    if isinstance(value, Described):
        value = value.value
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if value is not None and not isinstance(value, str):
        raise AmqpError("amqp:invalid-field", "a selector is not text")
    return value


def _symbols(value: Any) -> frozenset[str]:
    if isinstance(value, Array):
        return frozenset(map(str, value))
    return frozenset((str(value),)) if value is not None else frozenset()
