"""Requests and their responses: `$cbs` and `$management` (AMQP management, CBS drafts)."""

import logging
from collections import deque
from collections.abc import Callable
from functools import partial

from emulator.amqp.authorization import Authorization
from emulator.amqp.codec import DecodeError
from emulator.amqp.links import ReceivingLink, SendingLink
from emulator.amqp.message import (
    Properties,
    application_properties_section,
    message_id,
    properties_section,
    split,
    value_section,
)
from emulator.amqp.node import AmqpError, ManagementNode, Outcome, Request, Response, Right
from emulator.amqp.types import Int, Symbol
from emulator.sas import SasError

log = logging.getLogger(__name__)

CBS_ADDRESS = "$cbs"
# Requests of one connection that may be under way, and responses that may wait for credit.
MAX_PENDING = 100


class CbsNode:
    """Claims-based security: takes the tokens that open addresses."""

    def __init__(self, authorization: Authorization) -> None:
        self._authorization = authorization

    async def respond(self, request: Request) -> Response:
        """`put-token`: status 200, or 401 with the reason."""
        if request.operation != "put-token":
            return Response(501, f"$cbs knows put-token, not {request.operation}")
        audience, token = request.properties.get("name"), request.body
        if not isinstance(audience, str) or not isinstance(token, str):
            return Response(400, "put-token needs a name and, as its body, a token")
        try:
            self._authorization.put(audience, token)
        except SasError as problem:
            return Response(401, f"InvalidSignature: {problem}")
        return Response(200, "OK")


class ResponseSource:
    """The way back to a client that sends requests."""

    def __init__(self, link: SendingLink) -> None:
        self._link = link
        self._waiting: deque[bytes] = deque()
        self._sent = 0

    def answer(self, message: bytes) -> None:
        """Send a response, now or when the client gives credit."""
        if len(self._waiting) >= MAX_PENDING:
            reason = "too many responses wait for credit"
            self._link.detach(AmqpError("amqp:resource-limit-exceeded", reason))
            return
        self._waiting.append(message)
        self.pump()

    def pump(self) -> None:
        while self._waiting and self._link.credit > 0:
            self._sent += 1
            self._link.send(self._waiting.popleft(), self._sent.to_bytes(8, "big"), settled=True)

    def settle(self, _delivery_id: int, outcome: Outcome) -> Outcome | None:
        return outcome

    def close(self) -> None:
        self._waiting.clear()


class RequestTarget:
    """Where a client sends requests; each is answered by a task of the connection."""

    def __init__(
        self, link: ReceivingLink, node: ManagementNode, rights: Callable[[], frozenset[Right]]
    ) -> None:
        self._link = link
        self._node = node
        self._rights = rights

    def receive(self, payload: bytes, _message_format: int) -> None:
        """Start to answer a request. Raises AmqpError or DecodeError."""
        connection = self._link.session.connection
        parts = split(payload)
        properties = parts.read_properties()
        way_back = self._way_back(properties.reply_to)
        if way_back is None:
            raise AmqpError("amqp:not-allowed", f"no link receives from {self._link.address}")
        if connection.request_count >= MAX_PENDING:
            raise AmqpError("amqp:resource-limit-exceeded", "too many requests are under way")
        application = parts.read_application_properties()
        request = Request(
            operation=str(application.get("operation")),
            properties=application,
            body=parts.read_body(),
            rights=self._rights(),
        )
        head = properties_section(Properties(correlation_id=message_id(parts.properties)))
        connection.start_request(self._respond(request, head, way_back))

    def close(self) -> None:
        """Requests that are under way go on; their responses find no link."""

    async def _respond(self, request: Request, head: bytes, way_back: ResponseSource) -> None:
        try:
            response = await self._node.respond(request)
        except AmqpError as refusal:
            response = Response(_status(refusal), refusal.description, None, refusal.condition)
        except DecodeError as problem:
            response = Response(400, str(problem), None, "amqp:decode-error")
        except Exception:
            log.exception("amqp: %s of %s failed", request.operation, self._link.address)
            reason = "the emulator failed; its log says why"
            response = Response(500, reason, None, "amqp:internal-error")
        message = head + _encode(response)
        # The request is accepted first: uamqp expects that order.
        self._link.session.connection.store.when_durable(partial(way_back.answer, message))

    def _way_back(self, reply_to: str | None) -> ResponseSource | None:
        """The link of this session from the same node, if need be told by the reply address."""
        found = None
        for link in self._link.session.links.values():
            if isinstance(link, SendingLink) and isinstance(link.source, ResponseSource):
                if link.address != self._link.address:
                    continue
                found = link.source
                if reply_to and link.reply_address == reply_to:
                    return found
        return found


def _encode(response: Response) -> bytes:
    """Service Bus and Event Hubs spell the same properties differently; both are sent."""
    status, description = Int(response.status), response.description
    properties = {
        "statusCode": status,
        "statusDescription": description,
        "status-code": status,
        "status-description": description,
    }
    if response.condition:
        condition = Symbol(response.condition)
        properties |= {"errorCondition": condition, "error-condition": condition}
    return application_properties_section(properties) + value_section(response.body)


def _status(refusal: AmqpError) -> int:
    return _STATUSES.get(refusal.condition, 400)


_STATUSES = {
    "amqp:unauthorized-access": 401,
    "amqp:not-found": 404,
    "amqp:not-implemented": 501,
    "amqp:internal-error": 500,
}
