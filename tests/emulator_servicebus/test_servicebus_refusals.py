"""What Service Bus refuses over AMQP, and how the official client reads it."""

import asyncio
import uuid

import pytest
from azure.servicebus import (
    ServiceBusMessage,
)
from azure.servicebus.aio import ServiceBusReceiver, ServiceBusSender
from azure.servicebus.exceptions import (
    MessageSizeExceededError,
    MessagingEntityDisabledError,
    MessagingEntityNotFoundError,
    ServiceBusConnectionError,
    ServiceBusError,
    ServiceBusQuotaExceededError,
)

from emulator.amqp.message import data_section
from emulator.amqp.node import Request, Right
from emulator.servicebus.management import Management
from emulator.servicebus.queue import Queue
from emulator.servicebus.settings import QueueSettings, Status
from tests.emulator_servicebus.namespace import (
    LISTEN_KEY,
    REFUSED,
    WAIT,
    Namespace,
    create,
    put,
    receive,
    texts,
)


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
    shared_namespace: Namespace,
    queue: Queue,
    sender: ServiceBusSender,
    receiver: ServiceBusReceiver,
) -> None:
    put(queue, "a")
    settings = queue.settings
    queue.settings = QueueSettings(max_size_mb=0)
    async with shared_namespace.client() as client:
        for each in (sender, client.get_queue_sender("q"), sender):  # it stays open
            batch = await each.create_message_batch()
            batch.add_message(ServiceBusMessage("b"))
            for what in (batch, ServiceBusMessage("b")):
                with pytest.raises(ServiceBusQuotaExceededError):
                    await each.send_messages(what)
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
            with pytest.raises(ServiceBusConnectionError):  # its link was detached
                await sender.send_messages(ServiceBusMessage("b"))
            with pytest.raises(MessagingEntityDisabledError):
                await sender.send_messages(ServiceBusMessage("b"))
            assert texts(await receive(receiver, 1)) == ["a"]
            broker.update(queue, QueueSettings(status=Status.RECEIVE_DISABLED), ())
            with pytest.raises(ServiceBusConnectionError):
                await receiver.receive_messages(1, WAIT)
            with pytest.raises(MessagingEntityDisabledError):
                await receiver.receive_messages(1, WAIT)
            await sender.send_messages(ServiceBusMessage("c"))
            broker.update(queue, QueueSettings(), ())
            assert texts(await receive(receiver, 1)) == ["c"]


async def test_deleting_a_queue_detaches_its_links(shared_namespace: Namespace) -> None:
    queue = create(shared_namespace, "deleted")
    put(queue, "a")
    async with shared_namespace.client() as client:
        sender, receiver = client.get_queue_sender("deleted"), client.get_queue_receiver("deleted")
        async with sender, receiver:
            await sender.send_messages(ServiceBusMessage("b"))
            assert texts(await receive(receiver, 2)) == ["a", "b"]
            shared_namespace.service.broker.delete(queue)
            with pytest.raises(ServiceBusConnectionError):  # its link was detached
                await sender.send_messages(ServiceBusMessage("c"))
            with pytest.raises(MessagingEntityNotFoundError):
                await sender.send_messages(ServiceBusMessage("c"))
            with pytest.raises(MessagingEntityNotFoundError):
                await receiver.receive_messages(1, WAIT)
            again = create(shared_namespace, "deleted")
            assert again.active.log.totals == (0, 0, 0, 0)
            await sender.send_messages(ServiceBusMessage("d"))
            assert texts(await receive(receiver, 1)) == ["d"]


async def test_sessions_are_not_emulated(shared_namespace: Namespace, shared_queue: Queue) -> None:
    async with shared_namespace.client() as client:
        with pytest.raises(ServiceBusError, match="not-implemented"):
            await client.get_queue_receiver("q", session_id="s").receive_messages(1, WAIT)
