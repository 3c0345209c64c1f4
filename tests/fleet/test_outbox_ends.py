"""Messages called back, and those of an account that has the gateway no more."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from services.api.documents.user_messages import MessageState
from services.api.logic import outbox as rules
from services.api.logic import user_messages
from services.api.logic.intervals import ended
from services.api.logic.outbox_owner import disown, own
from services.api.store.user_messages import Changes
from shared.errors import Conflict, NotFound
from shared.schemas.documents import TimelineEntry
from tests.fleet.outboxes import (
    Faults,
    KilledError,
    Paired,
    Quiet,
    arrived,
)


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
    async with device.online() as gateway:
        await device.settle(sender)
        assert await arrived(gateway, 1) == [(three.id, b"3")]
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
    async with device.online() as gateway:
        await device.settle(quiet.sender())
        assert await arrived(gateway, 0) == []
    assert await device.states() == ["cancelled"]


async def test_a_former_owners_message_never_goes_to_the_next(quiet: Quiet, device: Paired) -> None:
    resources = quiet.resources
    faults = Faults()
    sender = quiet.sender(faults)
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
    their = (resources.user_messages, device.device_id, former, started_at, sender.clock)
    assert await disown(*their)
    assert (await device.outbox())["user_id"] == ""
    assert not await disown(*their)
    # Who unpairs is killed here, before IoT Hub dropped anything.
    await device.settle(sender)
    assert "purge_messages" in faults.steps
    assert set(await device.states()) == {"cancelled"}

    await device.pair("next-owner")
    async with device.online() as gateway:
        await device.send(sender, '"from the next"')
        await device.settle(sender)
        assert [body for _, body in await arrived(gateway, 1)] == [b'"from the next"']


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


async def test_what_is_dropped_with_a_cancelled_one_goes_before_what_is_new(
    quiet: Quiet, device: Paired
) -> None:
    sender = quiet.sender()
    _, two, _ = await device.send(sender, "1", "2", "3")
    await sender.come(device.device_id)
    await user_messages.cancel(device.stores(sender), device.user_id, device.device_id, two.id)
    await device.send(sender, "4")
    await sender.come(device.device_id)
    assert await device.states() == ["sent", "cancelled", "sent", "waiting"]
    async with device.online() as gateway:
        await device.settle(sender)
        assert [body for _, body in await arrived(gateway, 3)] == [b"1", b"3", b"4"]


async def test_what_is_not_told_to_be_dropped_holds_nothing_up(
    quiet: Quiet, device: Paired
) -> None:
    sender = quiet.sender()
    one, _ = await device.send(sender, "1", "2")
    await sender.come(device.device_id)
    await user_messages.cancel(device.stores(sender), device.user_id, device.device_id, one.id)
    await device.send(sender, "3")
    await quiet.sender(ahead=rules.FEEDBACK_LATEST).come(device.device_id)
    assert await device.states() == ["cancelled", "sent", "sent"]


async def test_messages_and_timeline_are_deleted_by_two_at_once(
    quiet: Quiet, device: Paired
) -> None:
    resources = quiet.resources
    await device.send(quiet.sender(), "1", "2")
    now = datetime.now(UTC)
    entry = TimelineEntry(
        id="e",
        device_id=device.device_id,
        user_id=device.user_id,
        event="started",
        detail="",
        created_at=now,
        enqueued_at=now,
    )
    await resources.timeline.add(entry)
    for store, there in ((resources.user_messages, 2), (resources.timeline, 1)):
        deletions = (store.delete_of(device.user_id, device.device_id) for _ in range(3))
        assert sum(await asyncio.gather(*deletions)) == there


async def test_what_was_ordered_before_a_pairing_took_the_outbox_is_refused(
    quiet: Quiet, device: Paired
) -> None:
    sender = quiet.sender()
    await device.send(sender, "1")
    messages = quiet.resources.user_messages
    await own(messages, device.device_id, "next", sender.clock(), sender.clock)
    with pytest.raises(NotFound):  # though the gateway was theirs when that was looked up
        await device.send(sender, "2")
    assert await device.states() == ["waiting"]
