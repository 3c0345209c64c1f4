"""The pool of senders: what one user of a sender does to the others, and what never fits."""

import asyncio
from contextlib import suppress

import pytest

from services.ingest.logic.plan import Outgoing, QueueAddress
from services.ingest.resources import Resources
from tests.ingest.local_platform import Owner, Platform, body_of, receive
from tests.ingest.made_events import data


def address(owner: Owner) -> QueueAddress:
    return QueueAddress("local", f"user-{owner.user_id}")


def outgoing(*bodies: bytes) -> list[Outgoing]:
    event = data(0, 1)
    return [Outgoing(body.decode()[:32], body, None, {}, event) for body in bodies]


async def test_who_gives_up_takes_the_sender_from_nobody(
    platform: Platform, ingest: Resources
) -> None:
    """Several partitions share a sender; a batch of one may be cancelled at any moment."""
    owner = await platform.owner()
    queues = ingest.stores.queues
    sends = []
    for n in range(60):
        messages = outgoing(f"{n} a".encode(), f"{n} b".encode())
        sends.append(asyncio.create_task(queues.send({address(owner): messages})))
    for n in range(0, 60, 3):
        await asyncio.sleep(0.005)
        sends[n].cancel()
        sends[59 - n].cancel()
    done = 0
    for send in sends:
        with suppress(asyncio.CancelledError):
            assert await send == {}
            done += 1
    assert done >= 20
    kept = [n for n, send in enumerate(sends) if not send.cancelled()]
    missing = {f"{n} {half}".encode() for n in kept for half in "ab"}
    while missing:  # what was cancelled may have been sent as well, or not
        some = {body_of(each) for each in await receive(owner, len(missing))}
        assert some, f"not on the queue: {missing}"
        missing -= some


@pytest.mark.parametrize("others", [0, 2])
async def test_a_message_too_large_is_refused(
    platform: Platform, ingest: Resources, others: int
) -> None:
    owner = await platform.owner()
    messages = outgoing(*(f"{n}".encode() for n in range(others)), b"x" * 300_000)
    async with asyncio.timeout(60):
        refusals = await ingest.stores.queues.send({address(owner): messages})
    refusal = refusals[address(owner)]
    assert refusal.messages == messages[others:]
    assert "larger than" in refusal.reason
    assert len(await receive(owner, others)) == others
