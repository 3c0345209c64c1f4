"""IoT Hub's service endpoints over AMQP: send to devices, receive feedback."""

import uuid
from collections.abc import Callable
from typing import Any

from emulator.amqp import message as amqp
from emulator.amqp.codec import DecodeError
from emulator.amqp.node import (
    AmqpError,
    Attach,
    IncomingLink,
    Outcome,
    OutgoingLink,
    Source,
    Target,
    Verdict,
)
from emulator.amqp.types import Symbol, Timestamp
from emulator.iothub.c2d import CloudMessage
from emulator.iothub.errors import HubError
from emulator.iothub.feedback import CONTENT_TYPE, Batch, Feedback

_CONDITIONS = {
    400: "amqp:invalid-field",
    403: "amqp:resource-limit-exceeded",
    404: "amqp:not-found",
    413: "amqp:link:message-size-exceeded",
}

_MAX_EXPIRY_MS = 253_402_300_799_999  # the end of the year 9999


class DeviceboundNode:
    """`/messages/devicebound`: each message names its device in its `to` property."""

    def __init__(self, send: Callable[[str, CloudMessage], None]) -> None:
        self._send = send

    def open_source(self, attach: Attach, link: OutgoingLink) -> Source:  # noqa: ARG002  a Node
        raise AmqpError("amqp:not-allowed", "cloud-to-device messages are received by devices")

    def open_target(self, attach: Attach, link: IncomingLink) -> Target:  # noqa: ARG002  a Node
        return _DeviceboundTarget(self._send)


class _DeviceboundTarget:
    def __init__(self, send: Callable[[str, CloudMessage], None]) -> None:
        self._send = send

    def receive(self, payload: bytes, message_format: int) -> None:
        if message_format != 0:
            raise AmqpError("amqp:not-implemented", "send cloud-to-device messages one by one")
        try:
            device_id, message = read_message(payload)
            self._send(device_id, message)
        except DecodeError as problem:
            raise AmqpError("amqp:decode-error", str(problem)) from None
        except HubError as refused:
            condition = _CONDITIONS.get(refused.status, "amqp:internal-error")
            raise AmqpError(condition, str(refused)) from None

    def close(self) -> None:
        pass


def read_message(payload: bytes) -> tuple[str, CloudMessage]:
    """The device and its message. Raises DecodeError, HubError 400."""
    parts = amqp.split(payload)
    properties = parts.read_properties()
    body = parts.read_body() if parts.body else b""
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        raise HubError(400, "ArgumentInvalid", "The body is a data section")
    message = CloudMessage(
        body=body,
        message_id=_text(properties.message_id),
        correlation_id=_text(properties.correlation_id),
        user_id=_text(properties.user_id),
        content_type=_text(properties.content_type),
        content_encoding=_text(properties.content_encoding),
        expiry=_expiry(properties.absolute_expiry_time),
        properties={
            str(_text(key)): _text(value)
            for key, value in parts.read_application_properties().items()
        },
    )
    return _device_of(properties.to), message


def _device_of(to: object) -> str:
    """`/devices/{id}/messages/devicebound` names the device."""
    steps = to.split("/") if isinstance(to, str) else []
    if len(steps) != 5 or steps[1] != "devices" or steps[3] != "messages" or not steps[2]:
        raise HubError(400, "ArgumentInvalid", "`to` is /devices/{id}/messages/devicebound")
    return steps[2]


def _expiry(milliseconds: object) -> float | None:
    """Unix seconds."""
    if milliseconds is None:
        return None
    if not isinstance(milliseconds, int) or not 0 <= milliseconds <= _MAX_EXPIRY_MS:
        raise HubError(400, "ArgumentInvalid", "absolute-expiry-time is a time from 1970 to 9999")
    return milliseconds / 1000


def _text(value: object) -> str | None:
    """A property's value as MQTT carries it."""
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case bytes():
            return value.decode(errors="replace")
    return str(value)


class FeedbackNode:
    """`/messages/servicebound/feedback`: what became of messages that asked for it."""

    def __init__(self, feedback: Feedback, hostname: str) -> None:
        self._feedback = feedback
        self._hostname = hostname

    def open_source(self, attach: Attach, link: OutgoingLink) -> Source:
        return _FeedbackSource(self._feedback, self._hostname, link, settled=attach.settled)

    def open_target(self, attach: Attach, link: IncomingLink) -> Target:  # noqa: ARG002  a Node
        raise AmqpError("amqp:not-allowed", "feedback is written by the hub")


class _FeedbackSource:
    def __init__(
        self, feedback: Feedback, hostname: str, link: OutgoingLink, *, settled: bool
    ) -> None:
        self._feedback = feedback
        self._hub_name = hostname.partition(".")[0]
        self._link = link
        self._settled = settled
        self._sent: dict[int, str] = {}  # delivery id -> lock token
        self._stop_listening = feedback.listen(self.pump)

    def pump(self) -> None:
        while self._link.credit > 0 and (batch := self._feedback.receive()) is not None:
            tag = uuid.UUID(batch.lock_token).bytes
            payload = feedback_message(batch, self._hub_name)
            delivery = self._link.send(payload, tag, settled=self._settled)
            if self._settled:
                self._feedback.complete(batch.lock_token)
            else:
                self._sent[delivery] = batch.lock_token

    def settle(self, delivery_id: int, outcome: Outcome) -> Outcome | None:
        lock_token = self._sent.pop(delivery_id, None)
        if lock_token is None:
            return None
        if outcome.verdict in (Verdict.ACCEPTED, Verdict.REJECTED):
            self._feedback.complete(lock_token)
        else:
            self._feedback.abandon(lock_token)
        return outcome

    def close(self) -> None:
        self._stop_listening()
        for lock_token in self._sent.values():
            self._feedback.release(lock_token)


def feedback_message(batch: Batch, hub_name: str) -> bytes:
    """A batch of feedback records as an AMQP message."""
    properties = amqp.Properties(
        message_id=batch.lock_token, user_id=hub_name.encode(), content_type=Symbol(CONTENT_TYPE)
    )
    annotations: dict[str, Any] = {"iothub-enqueuedtime": Timestamp(batch.enqueued * 1000)}
    return (
        amqp.annotations_section(amqp.MESSAGE_ANNOTATIONS, annotations)
        + amqp.properties_section(properties)
        + amqp.data_section(batch.body)
    )
