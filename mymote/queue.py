"""The account's queue, with the Service Bus SDK."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

from azure.servicebus import (
    ServiceBusClient,
    ServiceBusMessage,
    ServiceBusReceivedMessage,
    ServiceBusReceiver,
    parse_connection_string,
)
from azure.servicebus.exceptions import (
    MessageLockLostError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusError,
)

from mymote import output
from mymote.failures import UNAUTHORIZED, Failure

BATCH = 20  # messages held at a time, which nobody else gets meanwhile
WAIT_SECONDS = 5.0  # for a message; then it is looked whether to go on
PEEK_SECONDS = 2.0
DEVICE = "iothub-connection-device-id"


def name_of(connection: str) -> str:
    """The queue that a connection string leads to; "" where it leads to none."""
    try:
        return parse_connection_string(connection).entity_path or ""
    except ValueError:
        return ""


def taken(
    connection: str, name: str, ca_file: str, *, limit: int, once: bool, as_json: bool
) -> None:
    """Print each message, and then take it off the queue. Raises Failure."""
    count = 0
    with _receiver(connection, name, ca_file) as receiver:
        while not limit or count < limit:
            most = min(BATCH, limit - count) if limit else BATCH
            messages = receiver.receive_messages(most, max_wait_time=WAIT_SECONDS)
            if not messages and once:
                return
            _take(receiver, messages, as_json=as_json)
            count += len(messages)


def peeked(
    connection: str, name: str, ca_file: str, *, limit: int, once: bool, as_json: bool
) -> None:
    """Print each message, and leave it. Raises Failure."""
    count, after = 0, 0
    with _receiver(connection, name, ca_file) as receiver:
        while not limit or count < limit:
            most = min(BATCH, limit - count) if limit else BATCH
            messages = receiver.peek_messages(most, sequence_number=after + 1)
            for message in messages:
                _show(message, as_json=as_json)
                after = message.sequence_number or after
            count += len(messages)
            if not messages:
                if once:
                    return
                time.sleep(PEEK_SECONDS)


def _take(
    receiver: ServiceBusReceiver, messages: list[ServiceBusReceivedMessage], *, as_json: bool
) -> None:
    left = list(messages)
    try:
        while left:
            _show(left[0], as_json=as_json)
            try:
                receiver.complete_message(left[0])
            except MessageLockLostError:
                output.note("That message stays on the queue: it took too long to show it.")
            left.pop(0)
    finally:
        for message in left:  # so that they need not wait for their locks to run out
            receiver.abandon_message(message)


@contextmanager
def _receiver(connection: str, name: str, ca_file: str) -> Iterator[ServiceBusReceiver]:
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it logs, we say
    try:
        with (
            ServiceBusClient.from_connection_string(
                connection, connection_verify=ca_file or None
            ) as client,
            client.get_queue_receiver(name) as receiver,
        ):
            yield receiver
    except (ServiceBusAuthenticationError, ServiceBusAuthorizationError):
        raise Failure(
            "Service Bus refuses the connection string; has it been renewed? "
            "`mymote queue show` shows the one in use.",
            UNAUTHORIZED,
        ) from None
    except ServiceBusError as error:
        raise Failure(f"Service Bus: {error.message}") from None


def _show(message: ServiceBusMessage, *, as_json: bool) -> None:
    properties = {
        _text(name): _text(value) for name, value in (message.application_properties or {}).items()
    }
    body = b"".join(message.body)
    if as_json:
        output.json_line(
            {
                "message_id": message.message_id,
                "content_type": message.content_type or "",
                "properties": properties,
                **_body(body),
            }
        )
        return
    stored = output.moment(properties.get("iothub-creation-time-utc", ""))
    device = properties.get("device_name") or properties.get(DEVICE, "")
    route = f"  [{output.text(properties['user_route'])}]" if "user_route" in properties else ""
    readable = _body(body)
    print(f"{stored}  {output.text(device)}{route}  {output.escaped(readable['body'])}", flush=True)


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode(), "body_encoding": "text"}
    except UnicodeDecodeError:
        return {"body": body.hex(), "body_encoding": "hex"}


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
