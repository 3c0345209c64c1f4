"""User messages as IoT Hub's SDK has them, and its feedback on them."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime

import uamqp
from azure.iot.hub import IoTHubRegistryManager
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from shared.errors import Unavailable
from shared.iothub_refusals import NO_ANSWER

log = logging.getLogger(__name__)

NO_CONTENT = 204
POLL_SECONDS = 0.001


class FeedbackRecord(BaseModel):
    """What became of one message, in the words of IoT Hub.

    Source: "Understand cloud-to-device messaging from an IoT hub", Message feedback.
    """

    message_id: str = Field(alias="originalMessageId")
    device_id: str = Field(alias="deviceId")
    status: str = Field(alias="statusCode")  # Success, Expired, Purged, ...


@dataclass(frozen=True)
class FeedbackBatch:
    """Records that this receiver holds for a minute."""

    lock_token: str
    records: tuple[FeedbackRecord, ...]


_RECORDS = TypeAdapter(list[object])


def outgoing(
    device_id: str, body: bytes | str, message_id: str, expiry: datetime | None, *, feedback: bool
) -> uamqp.Message:
    """A message for the hub's endpoint `/messages/devicebound`."""
    return uamqp.Message(
        body.encode() if isinstance(body, str) else body,
        properties=uamqp.message.MessageProperties(
            message_id=message_id,
            to=f"/devices/{device_id}/messages/devicebound",
            content_type="application/json",
            content_encoding="utf-8",
            absolute_expiry_time=int(expiry.timestamp() * 1000) if expiry else None,
        ),
        application_properties={"iothub-ack": "full"} if feedback else None,
    )


def send(hub: IoTHubRegistryManager, message: uamqp.Message, deadline: float) -> None:
    """Send over the SDK's AMQP client, by a time and with the hub's reason on refusal.

    The SDK's own `send_c2d_message` waits for ever on a connection that hangs and reports any
    refusal as a bare Exception.
    """
    refusals: list[Exception] = []

    def settled(result: object, error: Exception | None) -> None:
        if result != uamqp.constants.MessageSendResult.Ok:
            refusals.append(error or ConnectionError("not sent"))

    if time.monotonic() > deadline:
        raise Unavailable(NO_ANSWER)
    message.on_send_complete = settled
    client = hub.amqp_svc_client.amqp_client
    client.queue_message(message)
    client.open()
    while client.messages_pending():
        if time.monotonic() > deadline:
            raise TimeoutError
        if not client.do_work():
            raise ConnectionError("the connection was closed")
        time.sleep(POLL_SECONDS)
    if refusals:
        raise refusals[0]


def receive_feedback(hub: IoTHubRegistryManager) -> FeedbackBatch | None:
    """The next records, if there are any.

    The SDK's method forgets its response's body; the raw response has it
    (azure-wire-facts.md, "IoT Hub, device side").
    """
    operations = hub.protocol.cloud_to_device_messages
    response = operations.receive_feedback_notification(raw=True).response
    if response.status_code == NO_CONTENT:
        return None
    return FeedbackBatch(response.headers["ETag"].strip('"'), read_records(response.content))


def read_records(body: bytes) -> tuple[FeedbackRecord, ...]:
    """The records of a batch; one without message id, or that is no record, tells nothing."""
    try:
        found = _RECORDS.validate_json(body)
    except ValidationError:
        log.warning("feedback of IoT Hub is no list of records", extra={"bytes": len(body)})
        return ()
    return tuple(record for each in found if (record := _record(each)) is not None)


def _record(value: object) -> FeedbackRecord | None:
    try:
        return FeedbackRecord.model_validate(value)
    except ValidationError:
        log.warning("feedback without a message id")
        return None
