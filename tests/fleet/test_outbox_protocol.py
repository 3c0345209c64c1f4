"""The outbox, whatever is killed, refused, told twice, too early or never."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from datetime import timedelta

import pytest

from services.api.documents.user_messages import MessageState
from services.api.logic import feedback, user_messages
from services.api.logic import outbox as rules
from services.api.logic.intervals import ended
from services.api.logic.outbox_owner import disown, own
from services.api.logic.outbox_work import scan, work
from services.api.store.user_messages import Changes
from shared.errors import Conflict, NotFound, TooMany, Unavailable
from shared.iothub_messages import FeedbackBatch, FeedbackRecord
from tests.api.mqtt_gateway import Gateway, connected
from tests.fleet.outboxes import (
    TAKEOVER,
    Faults,
    KilledError,
    Paired,
    Quiet,
    eventually,
    quiet_azure,
)


@pytest.fixture(scope="module")
async def quiet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Quiet]:
    async with quiet_azure(tmp_path_factory.mktemp("quiet")) as opened:
        yield opened


@pytest.fixture
async def device(quiet: Quiet) -> Paired:
    return await quiet.paired()


def online(device: Paired) -> AbstractAsyncContextManager[Gateway]:
    settings = device.quiet.stack.settings
    return connected(device.made.device_connection_string, settings.bind, settings.mqtt_port)


async def arrived(gateway: Gateway) -> list[tuple[str, bytes]]:
    """Message ids and bodies so far, in order."""
    found = []
    while not gateway.messages.empty():
        properties, body = gateway.messages.get_nowait()
        found.append((properties["$.mid"], body))
    return found


def record(message_id: str, device_id: str, status: str) -> FeedbackRecord:
    return FeedbackRecord(originalMessageId=message_id, deviceId=device_id, statusCode=status)


# accept; claim, send, write "sent"; write "delivered", complete the feedback
@pytest.mark.parametrize("step", range(1, 7))
async def test_a_kill_after_each_step_loses_nothing(
    quiet: Quiet, device: Paired, step: int
) -> None:
    faults = Faults(dies_after=step)
    mortal = quiet.sender(faults)
    async with online(device) as gateway:
        with pytest.raises(KilledError):  # noqa: PT012  it may end in each of them
            await device.send(mortal, '"order"')
            await mortal.come(device.device_id)
            await eventually(lambda: feedback.receive(mortal))
        survivor = quiet.sender(ahead=TAKEOVER)
        await survivor.come(device.device_id)
        await device.settle(survivor)
        assert await device.states() == ["delivered"]
        came = await arrived(gateway)
    assert {body for _, body in came} == {b'"order"'}
    assert len({message_id for message_id, _ in came}) == 1
    assert len(came) == (2 if step == 3 else 1)  # sent, and not written down
    after = await device.outbox()
    assert (after["waiting"], after["sent"], after["due"]) == (0, 0, None)


async def test_a_claim_taken_with_the_message_is_taken_over(quiet: Quiet, device: Paired) -> None:
    killed = quiet.sender()
    killed.working = True
    killed.taken = lambda *_: None  # type: ignore[method-assign]  # dies before it serves
    await device.send(killed, "1")
    await quiet.sender().come(device.device_id)
    assert await device.states() == ["waiting"]  # somebody may be sending
    await quiet.sender(ahead=TAKEOVER).come(device.device_id)
    assert await device.states() == ["sent"]


async def test_several_processes_send_each_message_once_and_in_order(
    quiet: Quiet, device: Paired
) -> None:
    faults = [Faults(), Faults(), Faults()]
    senders = [quiet.sender(each) for each in faults]
    bodies = [str(number) for number in range(30)]
    async with online(device) as gateway:
        async with work(senders[0]), work(senders[1]), work(senders[2]):
            for number, body in enumerate(bodies):
                await device.send(senders[number % 3], body)

            async def all_there() -> bool:
                return set(await device.states()) == {"delivered"}

            await eventually(all_there)
        assert [body.decode() for _, body in await arrived(gateway)] == bodies
    sends = [step for each in faults for step in each.steps if step == "send_message"]
    assert len(sends) == len(bodies)


async def test_offline_gateways_get_all_in_order_when_they_return(
    quiet: Quiet, device: Paired
) -> None:
    sender = quiet.sender()
    bodies = [str(number) for number in range(rules.HUB_HOLDS + 5)]
    await device.send(sender, *bodies)
    await sender.come(device.device_id)
    assert await device.states() == ["sent"] * rules.HUB_HOLDS + ["waiting"] * 5
    async with online(device) as gateway:
        await device.settle(sender)
        assert [body.decode() for _, body in await arrived(gateway)] == bodies


async def test_a_full_outbox_refuses_and_takes_again(quiet: Quiet, device: Paired) -> None:
    sender = quiet.sender()
    await device.send(sender, "1")
    messages = quiet.resources.user_messages
    held = await messages.outbox(device.device_id)
    assert held is not None
    full = held.outbox.model_copy(update={"waiting": rules.MAX_OPEN})
    assert await messages.write(held, full, Changes())
    with pytest.raises(TooMany) as refused:
        await device.send(sender, "2")
    assert refused.value.retry_after
    await sender.come(device.device_id)  # sends the one there is; the count was wrong
    await device.settle(quiet.sender(ahead=timedelta(days=3)))
    assert (await device.outbox())["waiting"] == 0


@pytest.mark.parametrize("error", [TooMany("full"), Unavailable("down")])
async def test_a_hub_that_refuses_is_left_alone_for_a_while(
    quiet: Quiet, device: Paired, error: TooMany | Unavailable
) -> None:
    faults = Faults(refuses=[error])
    sender = quiet.sender(faults)
    await device.send(sender, "1", "2")
    await sender.come(device.device_id)
    await sender.come(device.device_id)  # not due
    assert "send_message" not in faults.steps
    assert await device.states() == ["waiting"] * 2
    await quiet.sender(ahead=timedelta(minutes=2)).come(device.device_id)
    assert await device.states() == ["sent"] * 2


async def test_feedback_before_the_senders_own_write(quiet: Quiet, device: Paired) -> None:
    sender = quiet.sender()
    (message,) = await device.send(sender, "1")
    messages = quiet.resources.user_messages
    held = await messages.outbox(device.device_id)
    assert held is not None
    claimed = rules.claimed(held.outbox, "c", sender.clock())
    assert await messages.write(held, claimed, Changes())
    early = record(message.id, device.device_id, "Purged")
    assert not await feedback.write(sender, FeedbackBatch("token", (early,)))  # comes again
    assert await device.states() == ["waiting"]
    success = record(message.id, device.device_id, "Success")
    for _ in range(2):
        assert await feedback.write(sender, FeedbackBatch("token", (success, success, early)))
        assert await device.states() == ["delivered"]
    after = await device.outbox()
    assert (after["waiting"], after["sent"]) == (0, 0)


async def test_feedback_on_what_nobody_knows(quiet: Quiet, device: Paired) -> None:
    sender = quiet.sender()
    batch = FeedbackBatch("token", (record("x", device.device_id, "Success"),))
    assert await feedback.write(sender, batch)
    batch = FeedbackBatch("token", (record("outbox", "nowhere", "Success"),))
    assert await feedback.write(sender, batch)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Expired", "waiting"),  # on the hub only: it is good for longer
        ("Purged", "waiting"),
        ("DeliveryCountExceeded", "waiting"),
        ("Rejected", "rejected"),
        ("NeverHeardOf", "sent"),
    ],
)
async def test_what_feedback_does_to_a_message(
    quiet: Quiet, device: Paired, status: str, state: str
) -> None:
    sender = quiet.sender()
    (message,) = await device.send(sender, "1", lasts=timedelta(days=5))
    await sender.come(device.device_id)
    told = record(message.id, device.device_id, status)
    assert await feedback.write(sender, FeedbackBatch("token", (told,)))
    assert await device.states() == [state]
    await quiet.sender(ahead=timedelta(minutes=1)).come(device.device_id)
    assert await device.states() == ["sent" if state == "waiting" else state]


async def test_without_feedback_it_is_sent_again_and_expires_in_the_end(
    quiet: Quiet, device: Paired
) -> None:
    (message,) = await device.send(quiet.sender(), "1", lasts=timedelta(days=3))
    await quiet.sender().come(device.device_id)
    messages = quiet.resources.user_messages
    for days, attempts, state in ((1, 1, "sent"), (2.1, 2, "sent"), (3.1, 2, "expired")):
        await quiet.sender(ahead=timedelta(days=days)).come(device.device_id)
        found = await messages.get(device.device_id, message.id)
        assert found is not None
        assert (found.attempts, str(found.state)) == (attempts, state)
    # The gateway took it after all.
    success = record(message.id, device.device_id, "Success")
    assert await feedback.write(quiet.sender(), FeedbackBatch("token", (success,)))
    assert await device.states() == ["delivered"]
    assert (await device.outbox())["due"] is None


async def test_it_expires_in_the_hub(quiet: Quiet, device: Paired) -> None:
    sender = quiet.sender()
    await device.send(sender, "1", lasts=timedelta(seconds=0.5))
    await sender.come(device.device_id)
    await device.settle(sender)
    assert await device.states() == ["expired"]


async def test_what_waits_expires_unsent(quiet: Quiet, device: Paired) -> None:
    faults = Faults(refuses=[Unavailable("down")] * 3)
    await device.send(quiet.sender(faults), "1", lasts=timedelta(seconds=5))
    late = quiet.sender(faults, ahead=timedelta(seconds=6))
    await late.come(device.device_id)
    assert await device.states() == ["expired"]
    assert "send_message" not in faults.steps


async def test_cancelling(quiet: Quiet, device: Paired) -> None:
    """Also what IoT Hub has; the others go there again."""
    sender = quiet.sender()
    one, two, three = await device.send(sender, "1", "2", "3")
    stores, user_id = device.stores(sender), device.user_id
    await user_messages.cancel(stores, user_id, device.device_id, one.id)
    assert await device.states() == ["cancelled", "waiting", "waiting"]
    await sender.come(device.device_id)
    await user_messages.cancel(stores, user_id, device.device_id, two.id)
    again = await user_messages.cancel(stores, user_id, device.device_id, two.id)
    assert again.state is MessageState.CANCELLED
    async with online(device) as gateway:
        await device.settle(sender)
        assert await arrived(gateway) == [(three.id, b"3")]
    assert await device.states() == ["cancelled", "cancelled", "delivered"]
    with pytest.raises(Conflict, match="delivered"):
        await user_messages.cancel(stores, user_id, device.device_id, three.id)


async def test_a_cancelling_killed_halfway_is_completed(quiet: Quiet, device: Paired) -> None:
    (one,) = await device.send(quiet.sender(), "1")
    await quiet.sender().come(device.device_id)
    for _ in range(2):  # after it was marked; after IoT Hub dropped it
        mortal = device.stores(quiet.sender(Faults(dies_after=1)))
        with pytest.raises(KilledError):
            await user_messages.cancel(mortal, device.user_id, device.device_id, one.id)
        assert await device.states() == ["sent"]
    async with online(device) as gateway:
        await device.settle(quiet.sender())
        assert await arrived(gateway) == []
    assert await device.states() == ["cancelled"]


async def test_a_former_owners_message_never_goes_to_the_next(quiet: Quiet, device: Paired) -> None:
    resources = quiet.resources
    sender = quiet.sender()
    await device.send(sender, "1", "2")
    await sender.come(device.device_id)
    await device.send(sender, "3")
    former = device.user_id
    found = await resources.gateways.get(device.device_id)
    assert found is not None
    started_at = found[0].pairings[-1].started_at
    assert await resources.gateways.replace(ended(found[0], sender.clock()), found[1])
    with pytest.raises(NotFound):
        await device.send(sender, '"late"')
    await disown(resources.user_messages, device.device_id, former, started_at, sender.clock)
    await device.settle(sender)
    assert set(await device.states()) == {"cancelled"}

    await device.pair("next-owner")
    async with online(device) as gateway:
        await device.send(sender, '"from the next"')
        await device.settle(sender)
        assert [body for _, body in await arrived(gateway)] == [b'"from the next"']


async def test_a_pairing_waits_for_who_sends_for_the_former_owner(
    quiet: Quiet, device: Paired
) -> None:
    messages, clock = quiet.resources.user_messages, quiet.sender().clock
    await device.send(quiet.sender(), "1")
    held = await messages.outbox(device.device_id)
    assert held is not None
    sending = await messages.write(held, rules.claimed(held.outbox, "c", clock()), Changes())
    assert sending is not None
    later = clock()
    next_one = asyncio.create_task(own(messages, device.device_id, "next", later, clock))
    await asyncio.sleep(0.25)
    assert not next_one.done()
    assert await messages.write(sending, rules.released(sending.outbox, clock()), Changes())
    await next_one
    # Who sent for the former owner cannot go on.
    assert await messages.write(sending, sending.outbox, Changes()) is None
    assert (await device.outbox())["user_id"] == "next"
    await quiet.sender().come(device.device_id)
    assert await device.states() == ["cancelled"]


async def test_an_interrupted_unpairing_sends_nothing_more(quiet: Quiet, device: Paired) -> None:
    faults = Faults()
    sender = quiet.sender(faults)
    await device.send(sender, "1")
    found = await quiet.resources.gateways.get(device.device_id)
    assert found is not None
    assert await quiet.resources.gateways.replace(ended(found[0], sender.clock()), found[1])
    await sender.come(device.device_id)
    assert await device.states() == ["cancelled"]
    assert "send_message" not in faults.steps


async def test_deleted_messages_are_forgotten_and_counted_anew(
    quiet: Quiet, device: Paired
) -> None:
    sender = quiet.sender()
    await device.send(sender, "1", "2")
    await sender.come(device.device_id)
    messages = quiet.resources.user_messages
    assert await messages.delete_of(device.user_id, device.device_id) == 2
    assert await device.states() == []
    await quiet.sender(ahead=timedelta(days=3)).come(device.device_id)
    after = await device.outbox()
    assert (after["waiting"], after["sent"], after["due"]) == (0, 0, None)


async def test_the_same_order_twice_is_one_message(quiet: Quiet, device: Paired) -> None:
    sender = quiet.sender()
    same = "5b0a7c9e-3f1d-4c8a-9d53-0a4b7e6c2f18"
    (one,) = await device.send(sender, "1", message_id=same)
    (two,) = await device.send(sender, "1", message_id=same)
    assert one == two
    assert await device.states() == ["waiting"]


async def test_a_scan_finds_what_is_due(quiet: Quiet) -> None:
    devices = [await quiet.paired() for _ in range(3)]
    sender = quiet.sender()
    for device in devices:
        await device.send(sender, "1")
    assert not await scan(sender)  # no full page
    assert [await device.states() for device in devices] == [["sent"]] * 3
