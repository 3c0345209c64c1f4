"""The account's queue, with the Service Bus SDK."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

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
    ServiceBusCommunicationError,
    ServiceBusConnectionError,
    ServiceBusError,
)

from mymote import output, text
from mymote.failures import UNAUTHORIZED, Failure

BATCH = 20  # messages held at a time, which nobody else gets meanwhile
WAIT_SECONDS = 5.0  # for a message; then it is looked whether to go on
ONCE_SECONDS = 2.0
PEEK_SECONDS = 2.0
FIRST_PAUSE_SECONDS, LONGEST_PAUSE = 1.0, 30.0
DEVICE = "iothub-connection-device-id"


def name_of(connection: str) -> str:
    """The queue that a connection string leads to; "" where it leads to none."""
    try:
        return parse_connection_string(connection).entity_path or ""
    except ValueError:
        return ""


@dataclass
class Reading:
    """How messages are shown, and how far it is."""

    connection: str
    name: str
    ca_file: str
    limit: int  # 0 is none
    once: bool  # end where nothing waits
    as_json: bool
    count: int = 0
    after: int = 0  # the sequence number that was peeked last
    connected: bool = False

    @property
    def most(self) -> int:
        """How many to ask for; 0 at the end."""
        return min(BATCH, self.limit - self.count) if self.limit else BATCH


def taken(reading: Reading) -> None:
    """Print each message, and then take it off the queue. Raises Failure."""
    _lasting(reading, _take_all)


def peeked(reading: Reading) -> None:
    """Print each message, and leave it. Raises Failure."""
    _lasting(reading, _peek_all)


def _lasting(reading: Reading, work: Callable[[Reading, ServiceBusReceiver], None]) -> None:
    """Go on after the network was away, once it was there."""
    pause = FIRST_PAUSE_SECONDS
    while True:
        before = reading.count
        try:
            with _receiver(reading) as receiver:
                work(reading, receiver)
            return
        except (ServiceBusConnectionError, ServiceBusCommunicationError) as error:
            if not reading.connected:
                raise Failure(f"Service Bus cannot be reached: {error.message}") from None
            output.note("Service Bus is away; trying again.")
        except ServiceBusError as error:
            raise Failure(f"Service Bus: {error.message}") from None
        pause = FIRST_PAUSE_SECONDS if reading.count > before else min(2 * pause, LONGEST_PAUSE)
        time.sleep(pause)


def _take_all(reading: Reading, receiver: ServiceBusReceiver) -> None:
    while reading.most:
        wait = ONCE_SECONDS if reading.once else WAIT_SECONDS
        messages = receiver.receive_messages(reading.most, max_wait_time=wait)
        reading.connected = True
        if not messages and reading.once:
            return
        _take(reading, receiver, messages)


def _peek_all(reading: Reading, receiver: ServiceBusReceiver) -> None:
    while reading.most:
        messages = receiver.peek_messages(reading.most, sequence_number=reading.after + 1)
        reading.connected = True
        for message in messages:
            _show(message, as_json=reading.as_json)
            reading.after = message.sequence_number or reading.after
            reading.count += 1
        if not messages:
            if reading.once:
                return
            time.sleep(PEEK_SECONDS)


def _take(
    reading: Reading, receiver: ServiceBusReceiver, messages: list[ServiceBusReceivedMessage]
) -> None:
    left = list(messages)
    try:
        while left:
            _show(left[0], as_json=reading.as_json)
            reading.count += 1
            try:
                receiver.complete_message(left[0])
            except MessageLockLostError:
                output.note("That message stays on the queue: it took too long to show it.")
            left.pop(0)
    finally:
        with suppress(ServiceBusError):
            for message in left:  # so that they need not wait for their locks to run out
                receiver.abandon_message(message)


@contextmanager
def _receiver(reading: Reading) -> Iterator[ServiceBusReceiver]:
    logging.getLogger("azure").setLevel(logging.CRITICAL)  # what it logs, we say
    try:
        with (
            ServiceBusClient.from_connection_string(
                reading.connection, connection_verify=reading.ca_file or None, retry_total=0
            ) as client,
            client.get_queue_receiver(reading.name) as receiver,
        ):
            yield receiver
    except (ServiceBusAuthenticationError, ServiceBusAuthorizationError):
        raise Failure(
            "Service Bus refuses the connection string; has it been renewed? "
            "`mymote queue show` shows the one in use.",
            UNAUTHORIZED,
        ) from None


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
    stored = text.moment(properties.get("iothub-creation-time-utc", ""))
    device = properties.get("device_name") or properties.get(DEVICE, "")
    route = f"  [{text.line(properties['user_route'])}]" if "user_route" in properties else ""
    readable = _body(body)
    print(f"{stored}  {text.line(device)}{route}  {text.escaped(readable['body'])}", flush=True)


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode(), "body_encoding": "text"}
    except UnicodeDecodeError:
        return {"body": body.hex(), "body_encoding": "hex"}


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
