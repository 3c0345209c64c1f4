"""The outbox, whatever is killed, refused, told twice, too early or never."""

import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from services.api.logic import feedback
from services.api.logic import outbox as rules
from services.api.logic.outbox_work import scan, work
from services.api.store.user_messages import Changes
from shared.errors import TooMany, Unavailable
from shared.iothub_messages import FeedbackBatch
from tests.fleet.outboxes import (
    TAKEOVER,
    Faults,
    KilledError,
    Paired,
    Quiet,
    arrived,
    eventually,
    record,
)

UNKNOWN = "X400_" + "0" * 40


# accept; claim, send, write "sent"; write "delivered", complete the feedback
@pytest.mark.parametrize("step", range(1, 7))
async def test_a_kill_after_each_step_loses_nothing(
    quiet: Quiet, device: Paired, step: int
) -> None:
    faults = Faults(dies_after=step)
    mortal = quiet.sender(faults)
    async with device.online() as gateway:
        with pytest.raises(KilledError):  # noqa: PT012  it may end in each of them
            await device.send(mortal, '"order"')
            await mortal.come(device.device_id)
            await eventually(lambda: feedback.receive(mortal))
        survivor = quiet.sender(ahead=TAKEOVER)
        await survivor.come(device.device_id)
        await device.settle(survivor)
        assert await device.states() == ["delivered"]
        times = 2 if step == 3 else 1  # sent, and not written down
        came = await arrived(gateway, times)
    assert {body for _, body in came} == {b'"order"'}
    assert len({message_id for message_id, _ in came}) == 1
    assert len(came) == times
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
    bodies = [str(number) for number in range(15)]
    async with device.online() as gateway:
        async with work(senders[0]), work(senders[1]), work(senders[2]):
            for number, body in enumerate(bodies):
                await device.send(senders[number % 3], body)

            async def all_there() -> bool:
                return set(await device.states()) == {"delivered"}

            await eventually(all_there)
        assert [body.decode() for _, body in await arrived(gateway, len(bodies))] == bodies
    sends = [step for each in faults for step in each.steps if step == "send_message"]
    assert len(sends) == len(bodies)


async def test_offline_gateways_get_all_in_order_when_they_return(
    quiet: Quiet, device: Paired
) -> None:
    sender = quiet.sender()
    bodies = [str(number) for number in range(rules.HUB_HOLDS + 2)]
    await device.send(sender, *bodies)
    await sender.come(device.device_id)
    assert await device.states() == ["sent"] * rules.HUB_HOLDS + ["waiting"] * 2
    assert (await device.outbox())["due"] > time.time() + 86_400  # nobody looks in vain
    async with device.online() as gateway:
        await device.settle(sender)
        assert [body.decode() for _, body in await arrived(gateway, len(bodies))] == bodies


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
    sender = quiet.sender(faults, at=datetime.now(UTC))
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
    (message,) = await device.send(sender, "1")
    odd = ("x", "outbox", "a/b", "..", "", "i" * 2000, str(uuid.uuid4()))
    records = [record(each, device.device_id, "Success") for each in odd]
    records += [record(message.id, each, "Success") for each in ("", "d" * 3000, UNKNOWN)]
    assert await feedback.write(sender, FeedbackBatch("token", tuple(records)))
    assert await device.states() == ["waiting"]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Expired", "waiting"),  # told of an earlier attempt: its time is not over
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
    (message,) = await device.send(sender, "1", lasts=timedelta(days=1))
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
