"""`{entity}/$management`: what the SDKs ask for beside sending, receiving and settling.

Operations and their bodies: Service Bus AMQP request/response protocol.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

from emulator.amqp.node import AmqpError, Outcome, Request, Response, Right, Verdict
from emulator.amqp.types import Array, Timestamp
from emulator.servicebus import errors
from emulator.servicebus.entity import Delivery, Entity
from emulator.servicebus.envelope import parse, render
from emulator.servicebus.nodes import settle
from emulator.servicebus.queue import NewMessage, Queue
from emulator.servicebus.settings import MAX_MESSAGE_BYTES
from emulator.store import Store

_PREFIX = "com.microsoft:"
_TIMESTAMP_ARRAY = 0x83
_LONG_ARRAY = 0x81
_FIRST = 0  # the receiver settle mode of receive-and-delete
_MAX_PEEKED = 250
_MAX_PEEKED_BYTES = 512 * 1024
_MAX_SEQUENCE = 2**63 - 1

_STATUS = {
    errors.LOCK_LOST: 410,
    errors.MESSAGE_NOT_FOUND: 404,
    errors.NOT_FOUND: 404,
    errors.NOT_IMPLEMENTED: 501,
    errors.ENTITY_DISABLED: 400,
    "amqp:resource-limit-exceeded": 403,
    "amqp:unauthorized-access": 401,
}
_BAD_REQUEST = 400

_DISPOSITIONS = {
    "completed": Outcome(Verdict.ACCEPTED),
    "abandoned": Outcome(Verdict.MODIFIED, delivery_failed=True),
    "defered": Outcome(Verdict.MODIFIED, undeliverable_here=True),
}
_DEAD_LETTERED = "suspended"


class Management:
    """Answers the requests to a queue's or a dead-letter queue's `$management`."""

    def __init__(self, store: Store, queue: Queue, entity: Entity) -> None:
        self._store = store
        self._queue = queue
        self._entity = entity
        self._operations: dict[str, tuple[Right, Callable[[Mapping[str, Any]], Response]]] = {
            "renew-lock": (Right.LISTEN, self._renew_lock),
            "peek-message": (Right.LISTEN, self._peek),
            "receive-by-sequence-number": (Right.LISTEN, self._receive_deferred),
            "update-disposition": (Right.LISTEN, self._settle),
            "schedule-message": (Right.SEND, self._schedule),
            "cancel-scheduled-message": (Right.SEND, self._cancel),
        }

    async def respond(self, request: Request) -> Response:
        """Every refusal is a response with Azure's condition; what it says is durable."""
        try:
            response = self._answer(request)
        except AmqpError as error:
            status = _STATUS.get(error.condition, _BAD_REQUEST)
            return Response(status, error.description, condition=error.condition)
        await self._store.durable()
        return response

    def _answer(self, request: Request) -> Response:
        name = request.operation.removeprefix(_PREFIX)
        if name not in self._operations:
            raise errors.not_implemented(f"the operation '{request.operation}'")
        right, operation = self._operations[name]
        if right not in request.rights:
            raise AmqpError(
                "amqp:unauthorized-access",
                f"Unauthorized access. '{right}' claim(s) are required to perform this operation.",
            )
        if not isinstance(request.body, Mapping):
            raise errors.bad_argument("The request's body must be a map.")
        return operation(request.body)

    def _renew_lock(self, body: Mapping[str, Any]) -> Response:
        ends = self._entity.renew(_tokens(body))
        expirations = Array(_TIMESTAMP_ARRAY, map(Timestamp, ends))
        return Response(200, "OK", {"expirations": expirations})

    def _peek(self, body: Mapping[str, Any]) -> Response:
        start = _number(body, "from-sequence-number")
        limit = min(_number(body, "message-count"), _MAX_PEEKED)
        rows = self._entity.log.peek(start, limit, _MAX_PEEKED_BYTES)
        found = [{"message": render(Delivery(row, b"", None))} for row in rows]
        if not found:
            return Response(204, "No messages.")
        return Response(200, "OK", {"messages": found})

    def _receive_deferred(self, body: Mapping[str, Any]) -> Response:
        self._queue.check_receives()
        delete = body.get("receiver-settle-mode") == _FIRST
        deliveries = self._entity.receive_deferred(
            _numbers(body, "sequence-numbers"), delete=delete
        )
        messages = [
            {"lock-token": UUID(bytes_le=delivery.token), "message": render(delivery)}
            for delivery in deliveries
        ]
        return Response(200, "OK", {"messages": messages})

    def _settle(self, body: Mapping[str, Any]) -> Response:
        outcome = _outcome(body)
        for token in _tokens(body):
            settle(self._entity, token, outcome)
        return Response(200, "OK")

    def _schedule(self, body: Mapping[str, Any]) -> Response:
        if self._entity is not self._queue.active:
            raise errors.bad_argument("Messages are scheduled on the queue itself.")
        sequences = self._queue.send(_scheduled(body))
        return Response(200, "OK", {"sequence-numbers": Array(_LONG_ARRAY, sequences)})

    def _cancel(self, body: Mapping[str, Any]) -> Response:
        self._queue.cancel_scheduled(_numbers(body, "sequence-numbers"))
        return Response(200, "OK")


def _tokens(body: Mapping[str, Any]) -> list[bytes]:
    tokens = _items(body, "lock-tokens")
    if not all(isinstance(token, UUID) for token in tokens):
        raise errors.bad_argument("'lock-tokens' must be an array of UUIDs.")
    return [token.bytes_le for token in tokens]


def _numbers(body: Mapping[str, Any], key: str) -> list[int]:
    numbers = _items(body, key)
    if not all(isinstance(number, int) and 0 <= number <= _MAX_SEQUENCE for number in numbers):
        raise errors.bad_argument(f"'{key}' must be an array of sequence numbers.")
    return list(map(int, numbers))


def _number(body: Mapping[str, Any], key: str) -> int:
    number = body.get(key)
    if not isinstance(number, int) or not 0 <= number <= _MAX_SEQUENCE:
        raise errors.bad_argument(f"'{key}' must be a number that is not negative.")
    return int(number)


def _items(body: Mapping[str, Any], key: str) -> Sequence[Any]:
    items = body.get(key)
    if not isinstance(items, list) or not items:
        raise errors.bad_argument(f"'{key}' must be an array with at least one element.")
    return items


def _outcome(body: Mapping[str, Any]) -> Outcome:
    status = body.get("disposition-status")
    changed = body.get("properties-to-modify") or {}
    if status == _DEAD_LETTERED:
        info = {
            **changed,
            "DeadLetterReason": body.get("deadletter-reason"),
            "DeadLetterErrorDescription": body.get("deadletter-description"),
        }
        return Outcome(Verdict.REJECTED, error=AmqpError("com.microsoft:dead-letter", "", info))
    outcome = _DISPOSITIONS.get(str(status))
    if outcome is None:
        raise errors.bad_argument(f"'{status}' is not a disposition status.")
    return Outcome(
        outcome.verdict,
        delivery_failed=outcome.delivery_failed,
        undeliverable_here=outcome.undeliverable_here,
        annotations=changed,
    )


def _scheduled(body: Mapping[str, Any]) -> list[NewMessage]:
    messages: list[NewMessage] = []
    for item in _items(body, "messages"):
        encoded = item.get("message") if isinstance(item, Mapping) else None
        if not isinstance(encoded, bytes):
            raise errors.bad_argument("Each of 'messages' must have an encoded 'message'.")
        if len(encoded) > MAX_MESSAGE_BYTES:
            raise errors.message_too_large(len(encoded), MAX_MESSAGE_BYTES)
        messages += parse(encoded)
    if any(message.scheduled_at is None for message in messages):
        raise errors.bad_argument("A scheduled message needs x-opt-scheduled-enqueue-time.")
    return messages
