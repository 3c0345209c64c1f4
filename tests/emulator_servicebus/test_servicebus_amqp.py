"""Queues as the official asynchronous client sees them, over real AMQP."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from azure.servicebus import (
    ServiceBusMessage,
    ServiceBusMessageState,
    ServiceBusReceivedMessage,
    ServiceBusReceiveMode,
)
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import (
    MessageLockLostError,
    MessageNotFoundError,
)

from emulator.servicebus.queue import Queue
from tests.emulator_servicebus.namespace import (
    WAIT,
    Namespace,
    create,
    lock,
    put,
    receive,
    texts,
)


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
    assert abs(message.enqueued_time_utc - datetime.now(UTC)) < timedelta(minutes=1)
    assert message.locked_until_utc is not None
    assert message.locked_until_utc > datetime.now(UTC) + timedelta(seconds=20)
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
    first, second = await lock(receiver, 2)
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
    shared_namespace: Namespace,
    queue: Queue,
    sender: ServiceBusSender,
    receiver: ServiceBusReceiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
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
    assert queue.active.log.totals[:3] == (1, 0, 2)
    scheduler = shared_namespace.service.broker.scheduler
    monkeypatch.setattr(scheduler, "clock", lambda: int(soon.timestamp() * 1000) + 1)
    scheduler.run_due()
    assert texts(await receive(receiver, 3)) == ["now", "too", "later"]


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
            "taken", receive_mode=ServiceBusReceiveMode.RECEIVE_AND_DELETE
        ) as receiver:
            received = await lock(receiver, 3)
    assert texts(received) == ["a", "b", "c"]
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
