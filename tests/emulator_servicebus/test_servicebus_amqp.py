"""Queues as the official asynchronous client sees them, over real AMQP.

Opening and closing a link takes the client half a second each (it sleeps between its frames),
so most tests share a sender, a receiver and a receiver of dead letters.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import (
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
    ServiceBusSubQueue,
)
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusAuthenticationError,
    ServiceBusAuthorizationError,
    ServiceBusError,
    ServiceBusQuotaExceededError,
)

from emulator.amqp.message import data_section
from emulator.amqp.node import Request, Right
from emulator.servicebus.management import Management
from emulator.servicebus.queue import NewMessage, Queue
from emulator.servicebus.settings import AccessRule, QueueSettings, Status
from tests.emulator_servicebus.namespace import Namespace

LISTEN_KEY = "bGlzdGVuLWtleQ=="
WAIT = 5
REFUSED = (ServiceBusAuthenticationError, ServiceBusAuthorizationError)


def create(namespace: Namespace, name: str, **settings: object) -> Queue:
    """A queue with a rule that may only listen."""
    rule = AccessRule("listen", frozenset({Right.LISTEN}), LISTEN_KEY, "second", 0, 0)
    return namespace.service.broker.create(name, QueueSettings(**settings), (rule,))  # type: ignore[arg-type]  # any of them


def put(queue: Queue, bodies: Iterable[str]) -> list[int]:
    """Send without a client."""
    return queue.send([NewMessage(data_section(body.encode())) for body in bodies])


async def receive(receiver: ServiceBusReceiver, count: int) -> list[ServiceBusReceivedMessage]:
    """Receive and complete."""
    received: list[ServiceBusReceivedMessage] = []
    while len(received) < count:
        batch = await receiver.receive_messages(count - len(received), WAIT)
        assert batch, f"only {len(received)} of {count} messages came"
        await asyncio.gather(*(receiver.complete_message(message) for message in batch))
        received += batch
    return received


def texts(messages: Iterable[ServiceBusReceivedMessage]) -> list[str]:
    return [str(message) for message in messages]


@pytest.fixture(scope="session")
async def shared_queue(shared_namespace: Namespace) -> Queue:
    return create(shared_namespace, "q", max_delivery_count=3)


@pytest.fixture
async def queue(shared_queue: Queue) -> Queue:
    """The shared queue, empty."""
    for entity in (shared_queue.active, shared_queue.dead_letter):
        entity.take(1000)
        assert entity.log.totals == (0, 0, 0, 0), "a test left messages behind"
    return shared_queue


@pytest.fixture(scope="session")
async def sender(
    shared_namespace: Namespace, shared_queue: Queue
) -> AsyncIterator[ServiceBusSender]:
    async with shared_namespace.client() as client, client.get_queue_sender("q") as sender:
        yield sender


@pytest.fixture(scope="session")
async def receiver(
    shared_namespace: Namespace, shared_queue: Queue
) -> AsyncIterator[ServiceBusReceiver]:
    async with shared_namespace.client() as client, client.get_queue_receiver("q") as receiver:
        yield receiver


@pytest.fixture(scope="session")
async def dead_letters(
    shared_namespace: Namespace, shared_queue: Queue
) -> AsyncIterator[ServiceBusReceiver]:
    async with shared_namespace.client() as client:
        async with client.get_queue_receiver(
            "q", sub_queue=ServiceBusSubQueue.DEAD_LETTER
        ) as receiver:
            yield receiver


async def test_a_message_arrives_as_it_was_sent(
    queue: Queue, sender: ServiceBusSender, receiver: ServiceBusReceiver
) -> None:
    body = bytes(range(256)) * 10
    number = uuid.uuid4()
    await sender.send_messages(
        ServiceBusMessage(
            body,
            message_id="m-1",
            content_type="application/json",
            correlation_id="c-1",
            subject="label",
            time_to_live=timedelta(minutes=5),
            partition_key="p",
            application_properties={"device_id": "X400_1", "n": 7, "u": number},
        )
    )
    (message,) = await receiver.receive_messages(1, WAIT)
    assert b"".join(message.body) == body
    assert message.message_id == "m-1"
    assert message.content_type == "application/json"
    assert message.correlation_id == "c-1"
    assert message.subject == "label"
    assert message.partition_key == "p"
    assert message.time_to_live == timedelta(minutes=5)
    properties = {b"device_id": b"X400_1", b"n": 7, b"u": number}
    assert message.application_properties == properties
    assert message.sequence_number == queue.active.log.last_sequence
    assert message.enqueued_sequence_number == message.sequence_number
    assert message.delivery_count == 0
    assert message.state == ServiceBusMessageState.ACTIVE
    assert message.enqueued_time_utc is not None
    assert abs(message.enqueued_time_utc - datetime.now(UTC)) < timedelta(seconds=5)
    assert message.locked_until_utc is not None
    assert message.locked_until_utc > datetime.now(UTC) + timedelta(seconds=50)
    await receiver.complete_message(message)
    assert queue.active.log.totals == (0, 0, 0, 0)


async def test_batches_keep_their_order(
    queue: Queue, sender: ServiceBusSender, receiver: ServiceBusReceiver
) -> None:
    bodies = [str(n) for n in range(1000)]
    for start in range(0, 1000, 100):
        await sender.send_messages(
            [ServiceBusMessage(body) for body in bodies[start : start + 100]]
        )
    received = await receive(receiver, 1000)
    assert texts(received) == bodies
    last = queue.active.log.last_sequence
    numbers = [message.sequence_number for message in received]
    assert numbers == list(range(last - 999, last + 1))


async def test_an_abandoned_message_comes_back_at_its_place(
    queue: Queue, receiver: ServiceBusReceiver
) -> None:
    put(queue, "abc")
    first, second = await receiver.receive_messages(2, WAIT)
    await receiver.abandon_message(second)
    await receiver.abandon_message(first)
    again = await receive(receiver, 3)
    assert texts(again) == ["a", "b", "c"]
    assert [message.delivery_count for message in again] == [1, 1, 0]


async def test_a_dead_letter_says_why(
    queue: Queue, receiver: ServiceBusReceiver, dead_letters: ServiceBusReceiver
) -> None:
    put(queue, "x")
    (message,) = await receiver.receive_messages(1, WAIT)
    await receiver.dead_letter_message(message, "bad", "because it is")
    (dead,) = await dead_letters.receive_messages(1, WAIT)
    assert str(dead) == "x"
    assert dead.dead_letter_reason == "bad"
    assert dead.dead_letter_error_description == "because it is"
    assert dead.enqueued_sequence_number == message.sequence_number
    await dead_letters.renew_message_lock(dead)
    await dead_letters.complete_message(dead)


async def test_too_many_deliveries_end_in_the_dead_letter_queue(
    queue: Queue, receiver: ServiceBusReceiver, dead_letters: ServiceBusReceiver
) -> None:
    put(queue, "x")
    for count in range(3):
        (message,) = await receiver.receive_messages(1, WAIT)
        assert message.delivery_count == count
        await receiver.abandon_message(message)
    (dead,) = await receive(dead_letters, 1)
    assert dead.dead_letter_reason == "MaxDeliveryCountExceeded"


async def test_a_deferred_message_waits_to_be_asked_for(
    queue: Queue, receiver: ServiceBusReceiver, dead_letters: ServiceBusReceiver
) -> None:
    number, other = put(queue, "ab")
    (message,) = await receiver.receive_messages(1, WAIT)
    await receiver.defer_message(message)
    assert texts(await receive(receiver, 1)) == ["b"]
    with pytest.raises(MessageNotFoundError):
        await receiver.receive_deferred_messages([number, other])
    (deferred,) = await receiver.receive_deferred_messages(number)
    assert (str(deferred), deferred.state) == ("a", ServiceBusMessageState.DEFERRED)
    await receiver.abandon_message(deferred)
    (deferred,) = await receiver.receive_deferred_messages(number)
    await receiver.dead_letter_message(deferred, "late", "too late")
    with pytest.raises(MessageNotFoundError):
        await receiver.receive_deferred_messages(number)
    (dead,) = await receive(dead_letters, 1)
    assert dead.dead_letter_reason == "late"


async def test_peek_shows_all_and_takes_none(queue: Queue, receiver: ServiceBusReceiver) -> None:
    first, *_ = put(queue, "abc")
    (locked,) = await receiver.receive_messages(1, WAIT)
    assert texts(await receiver.peek_messages(2, sequence_number=first)) == ["a", "b"]
    assert texts(await receiver.peek_messages(9)) == ["c"]
    assert await receiver.peek_messages(9) == []
    await receiver.complete_message(locked)
    assert len(await receive(receiver, 2)) == 2


async def test_a_renewed_lock_ends_later(queue: Queue, receiver: ServiceBusReceiver) -> None:
    put(queue, "a")
    (message,) = await receiver.receive_messages(1, WAIT)
    before = message.locked_until_utc
    await asyncio.sleep(0.05)
    after = await receiver.renew_message_lock(message)
    assert before is not None
    assert after > before
    await receiver.complete_message(message)


async def test_a_lost_lock_is_told(queue: Queue, receiver: ServiceBusReceiver) -> None:
    put(queue, "a")
    (message,) = await receiver.receive_messages(1, WAIT)
    queue.active.release(lock_token(message))
    with pytest.raises(MessageLockLostError):
        await receiver.renew_message_lock(message)
    with pytest.raises(MessageLockLostError):
        await receiver.complete_message(message)
    (again,) = await receive(receiver, 1)
    assert again.delivery_count == 0


def lock_token(message: ServiceBusReceivedMessage) -> bytes:
    assert isinstance(message.lock_token, uuid.UUID)
    return message.lock_token.bytes_le


async def test_a_waiting_receiver_gets_a_message_at_once(
    queue: Queue, sender: ServiceBusSender, receiver: ServiceBusReceiver
) -> None:
    waiting = asyncio.create_task(receive(receiver, 1))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    await sender.send_messages(ServiceBusMessage("x"))
    assert texts(await waiting) == ["x"]


async def test_a_scheduled_message_comes_when_it_is_time(
    queue: Queue, sender: ServiceBusSender, receiver: ServiceBusReceiver
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    await sender.send_messages(ServiceBusMessage("too", scheduled_enqueue_time_utc=soon))
    await sender.send_messages(ServiceBusMessage("now"))
    (scheduled,) = await sender.schedule_messages(ServiceBusMessage("later"), soon)
    assert scheduled == queue.active.log.last_sequence
    two = [ServiceBusMessage("never"), ServiceBusMessage("nor this")]
    cancelled = await sender.schedule_messages(two, soon)
    assert queue.active.log.totals[:3] == (1, 0, 4)
    await sender.cancel_scheduled_messages(cancelled)
    with pytest.raises(MessageNotFoundError):
        await sender.cancel_scheduled_messages(cancelled)
    assert texts(await receive(receiver, 3)) == ["now", "too", "later"]
    assert datetime.now(UTC) >= soon


async def test_duplicates_are_taken_and_dropped(shared_namespace: Namespace) -> None:
    queue = create(shared_namespace, "unique", requires_duplicate_detection=True)
    async with shared_namespace.client() as client:
        async with client.get_queue_sender("unique") as sender:
            for body, identity in (("a", "1"), ("a again", "1"), ("b", "2")):
                await sender.send_messages(ServiceBusMessage(body, message_id=identity))
            twice = [ServiceBusMessage(body, message_id="3") for body in ("c", "c again")]
            await sender.send_messages(twice)
    bodies = [delivery.message.payload[-1:] for delivery in queue.active.take(9)]
    assert bodies == [b"a", b"b", b"c"]


async def test_receive_and_delete(shared_namespace: Namespace) -> None:
    queue = create(shared_namespace, "taken")
    put(queue, "abc")
    async with shared_namespace.client() as client:
        async with client.get_queue_receiver(
            "taken", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE, max_wait_time=0.5
        ) as receiver:
            received = [str(message) async for message in receiver]
    assert received == ["a", "b", "c"]
    assert queue.active.log.totals == (0, 0, 0, 0)


async def test_closing_a_receiver_releases_what_it_buffered(shared_namespace: Namespace) -> None:
    queue = create(shared_namespace, "prefetched")
    put(queue, "abcdef")
    async with shared_namespace.client() as client:
        async with client.get_queue_receiver("prefetched", prefetch_count=10) as receiver:
            (message,) = await receiver.receive_messages(1, WAIT)
            await receiver.complete_message(message)
    rest = queue.active.take(9)
    assert [delivery.message.payload[-1:] for delivery in rest] == [b"b", b"c", b"d", b"e", b"f"]
    assert {delivery.message.delivery_count for delivery in rest} == {0}


async def test_a_missing_queue_is_not_found(shared_namespace: Namespace) -> None:
    async with shared_namespace.client() as client:
        refusals = await asyncio.gather(
            client.get_queue_sender("nosuch").send_messages(ServiceBusMessage("x")),
            client.get_queue_receiver("nosuch").receive_messages(1, WAIT),
            return_exceptions=True,
        )
    assert [type(refusal) for refusal in refusals] == [MessagingEntityNotFoundError] * 2


async def test_a_listen_key_opens_its_queue_for_listening_only(
    shared_namespace: Namespace,
) -> None:
    put(create(shared_namespace, "private"), "ab")
    other = create(shared_namespace, "other")
    shared_namespace.service.broker.update(other, QueueSettings(), ())
    async with shared_namespace.client(LISTEN_KEY, "listen") as client:
        async with client.get_queue_receiver("private") as receiver:
            assert texts(await receive(receiver, 1)) == ["a"]
            assert texts(await receiver.peek_messages(9)) == ["b"]
        refusals = await asyncio.gather(
            client.get_queue_sender("private").send_messages(ServiceBusMessage("x")),
            client.get_queue_receiver("other").receive_messages(1, WAIT),
            return_exceptions=True,
        )
    assert all(isinstance(refusal, REFUSED) for refusal in refusals), refusals


async def test_a_listen_key_schedules_nothing(
    shared_namespace: Namespace, shared_queue: Queue
) -> None:
    management = shared_namespace.service.node("q/$management")
    assert isinstance(management, Management)
    body = {"sequence-numbers": [1]}
    rights = frozenset({Right.LISTEN})
    request = Request("com.microsoft:cancel-scheduled-message", {}, body, rights)
    response = await management.respond(request)
    assert (response.status, response.condition) == (401, "amqp:unauthorized-access")


@pytest.mark.parametrize(
    ("operation", "body", "status"),
    [
        ("com.microsoft:get-message-sessions", {}, 501),
        ("com.microsoft:renew-lock", None, 400),
        ("com.microsoft:renew-lock", {"lock-tokens": "x"}, 400),
        ("com.microsoft:renew-lock", {"lock-tokens": [1]}, 400),
        ("com.microsoft:renew-lock", {"lock-tokens": [uuid.uuid4()]}, 410),
        ("com.microsoft:peek-message", {"from-sequence-number": -1, "message-count": 1}, 400),
        ("com.microsoft:peek-message", {"from-sequence-number": 1, "message-count": 1}, 204),
        ("com.microsoft:receive-by-sequence-number", {"sequence-numbers": [7]}, 404),
        ("com.microsoft:receive-by-sequence-number", {"sequence-numbers": [2**64]}, 400),
        ("com.microsoft:update-disposition", {"disposition-status": "eaten"}, 400),
        ("com.microsoft:schedule-message", {"messages": [{"message": b"garbage"}]}, 400),
        ("com.microsoft:schedule-message", {"messages": [{"message": bytes(300_000)}]}, 400),
        ("com.microsoft:schedule-message", {"messages": [{"message": data_section(b"x")}]}, 400),
    ],
)
async def test_requests_are_checked(
    shared_namespace: Namespace, queue: Queue, operation: str, body: object, status: int
) -> None:
    management = shared_namespace.service.node("Q/$Management")
    assert isinstance(management, Management)
    response = await management.respond(Request(operation, {}, body, frozenset(Right)))
    assert response.status == status
    assert (response.condition is None) == (status < 400)


async def test_a_wrong_key_opens_nothing(shared_namespace: Namespace, shared_queue: Queue) -> None:
    async def attempt(key: str, rule: str) -> None:
        async with shared_namespace.client(key, rule) as client:
            with pytest.raises(REFUSED):
                await client.get_queue_receiver("q").receive_messages(1, WAIT)

    await asyncio.gather(attempt(LISTEN_KEY, "nosuch"), attempt("d3Jvbmc=", "listen"))


async def test_a_full_queue_refuses(
    queue: Queue, sender: ServiceBusSender, receiver: ServiceBusReceiver
) -> None:
    put(queue, "a")
    settings = queue.settings
    queue.settings = QueueSettings(max_size_mb=0)
    with pytest.raises(ServiceBusQuotaExceededError):
        await sender.send_messages(ServiceBusMessage("b"))
    queue.settings = settings
    await sender.send_messages(ServiceBusMessage("c"))
    assert texts(await receive(receiver, 2)) == ["a", "c"]


async def test_a_large_message_is_refused(
    shared_namespace: Namespace, queue: Queue, sender: ServiceBusSender
) -> None:
    await sender.send_messages(ServiceBusMessage("x" * 250_000))
    (taken,) = queue.active.take(9)
    assert len(taken.message.payload) > 250_000
    async with shared_namespace.client() as client:
        with pytest.raises((MessageSizeExceededError, ServiceBusError)):
            await client.get_queue_sender("q").send_messages(ServiceBusMessage("x" * 270_000))
    assert queue.active.log.totals[0] == 0


async def test_a_disabled_queue_refuses(shared_namespace: Namespace) -> None:
    queue = create(shared_namespace, "disabled")
    broker = shared_namespace.service.broker
    async with shared_namespace.client() as client:
        sender, receiver = (
            client.get_queue_sender("disabled"),
            client.get_queue_receiver("disabled"),
        )
        async with sender, receiver:
            await sender.send_messages(ServiceBusMessage("a"))
            broker.update(queue, QueueSettings(status=Status.SEND_DISABLED), ())
            with pytest.raises(MessagingEntityDisabledError):
                await sender.send_messages(ServiceBusMessage("b"))
            assert texts(await receive(receiver, 1)) == ["a"]
            broker.update(queue, QueueSettings(status=Status.RECEIVE_DISABLED), ())
            with pytest.raises(MessagingEntityDisabledError):
                await receiver.receive_messages(1, WAIT)


async def test_deleting_a_queue_detaches_its_links(shared_namespace: Namespace) -> None:
    queue = create(shared_namespace, "deleted")
    put(queue, "a")
    async with shared_namespace.client() as client:
        sender, receiver = client.get_queue_sender("deleted"), client.get_queue_receiver("deleted")
        async with sender, receiver:
            await sender.send_messages(ServiceBusMessage("b"))
            assert texts(await receive(receiver, 2)) == ["a", "b"]
            shared_namespace.service.broker.delete(queue)
            with pytest.raises(MessagingEntityNotFoundError):
                await sender.send_messages(ServiceBusMessage("c"))
            with pytest.raises(MessagingEntityNotFoundError):
                await receiver.receive_messages(1, WAIT)
    assert create(shared_namespace, "deleted").active.log.totals == (0, 0, 0, 0)


async def test_sessions_are_not_emulated(shared_namespace: Namespace, shared_queue: Queue) -> None:
    async with shared_namespace.client() as client:
        with pytest.raises(ServiceBusError, match="not-implemented"):
            await client.get_queue_receiver("q", session_id="s").receive_messages(1, WAIT)
