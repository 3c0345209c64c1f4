"""Messages that are parked: looking at them, having them redelivered, discarding them.

Ingest parks and delivers; what is said here is an order to it. What a queue refused and what
waits for a first owner needs none: ingest delivers it by itself.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.api.store.gateways import Gateways
from services.api.store.parked import Filter, Page, Parked
from services.api.store.redeliveries import Redeliveries, order_id
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.documents import ParkedMessage, Redelivery

MAX_PAGE = 1000
BATCH = 100  # messages read at once where all are meant
AT_ONCE = 8
ORDERABLE = ("malformed", "over_quota")
# A call to the database takes 5 s at most: an order that is not there after this never will be.
ORDERING = timedelta(minutes=1)
_ID = re.compile(r"[^/\\?#\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True)
class Stores:
    """What this reads and writes."""

    parked: Parked
    redeliveries: Redeliveries
    gateways: Gateways


@dataclass(frozen=True)
class Progress:
    """Of all that a filter matches: how many are done, and how many were left as they are."""

    done: int = 0
    left: int = 0


@dataclass(frozen=True)
class Held:
    """An account whose queue refuses. `oldest` is the first message held back, if still there."""

    user_id: str
    partitions: list[str]
    refused: int
    oldest: ParkedMessage | None


async def page(stores: Stores, wanted: Filter, limit: int, after: str = "") -> Page:
    """Some messages in the order of their sequence numbers. Raises InvalidRequest."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"A page has 1 to {MAX_PAGE} messages.")
    return await stores.parked.page(wanted, limit, after)


async def one(stores: Stores, holder: str, message_id: str) -> ParkedMessage:
    """Raises InvalidRequest, NotFound."""
    return (await _get(stores, holder, message_id))[0]


async def redeliver(stores: Stores, holder: str, message_id: str) -> ParkedMessage:
    """Order ingest to deliver a message after all, whatever the quota says.

    Raises InvalidRequest, NotFound, and Conflict with what to do instead. Calling again
    completes an order that was interrupted, a minute after it.
    """
    message, etag = await _get(stores, holder, message_id)
    await _require_orderable(stores, message)
    if await stores.redeliveries.exists(message.stream, message.id):
        raise _ordered_already()
    now = datetime.now(UTC)
    if message.ordered_at and now - message.ordered_at < ORDERING:
        raise _ordered_already()
    # First, and only as it was read: of two that order at once, one does.
    if not await stores.parked.mark(message, etag, now):
        raise _changed()
    ordered = message.model_copy(update={"ordered_at": now})
    await stores.redeliveries.create(
        Redelivery(
            id=order_id(message.id), partition=message.stream, message=ordered, ordered_at=now
        )
    )
    return ordered


async def discard(stores: Stores, holder: str, message_id: str) -> ParkedMessage:
    """Delete a message for ever. Raises InvalidRequest, NotFound, Conflict."""
    message, etag = await _get(stores, holder, message_id)
    if message.ordered_at and (
        datetime.now(UTC) - message.ordered_at < ORDERING
        or await stores.redeliveries.exists(message.stream, message.id)
    ):
        raise _ordered_already()
    if not await stores.parked.delete(message, etag):
        raise _changed()
    return message


async def count(stores: Stores, wanted: Filter) -> int:
    """How many messages a filter matches."""
    return await stores.parked.count(wanted)


def to_redeliver(wanted: Filter) -> Filter:
    """Of what a filter matches, the messages that an order would deliver. Raises InvalidRequest."""
    reasons = tuple(each for each in wanted.reasons or ORDERABLE if each in ORDERABLE)
    if not reasons:
        raise InvalidRequest(_NEEDS_NO_ORDER[wanted.reasons[0]])
    return Filter(wanted.holder, wanted.device_id, reasons, unordered=True)


def redeliver_all(stores: Stores, wanted: Filter) -> AsyncIterator[Progress]:
    """Order all that `to_redeliver` gave, page by page, in order."""
    return _all(stores, wanted, redeliver)


def discard_all(stores: Stores, wanted: Filter) -> AsyncIterator[Progress]:
    """Discard all that a filter matches, page by page."""
    return _all(stores, wanted, discard)


async def held(stores: Stores) -> list[Held]:
    """The accounts whose queues refuse now, with what waits for each."""
    partitions: dict[str, list[str]] = {}
    for position in await stores.redeliveries.positions():
        for user_id in position.held:
            partitions.setdefault(user_id, []).append(position.partition)
    found = []
    for user_id in sorted(partitions):
        refused = Filter(user_id, reasons=("refused",))
        first = (await stores.parked.page(refused, 1)).messages
        number = await stores.parked.count(refused)
        found.append(
            Held(user_id, sorted(partitions[user_id]), number, first[0] if first else None)
        )
    return found


def body_of(body: bytes) -> tuple[str, str]:
    """A body for people, and its encoding: `text` where it is printable UTF-8, else `hex`."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body.hex(), "hex"
    if all(character.isprintable() or character in "\t\r\n" for character in text):
        return text, "text"
    return body.hex(), "hex"


async def _get(stores: Stores, holder: str, message_id: str) -> tuple[ParkedMessage, str]:
    if not _ID.fullmatch(message_id):
        raise InvalidRequest("A message's id is 1 to 255 characters, without '/', '\\', '?', '#'.")
    found = await stores.parked.get(holder, message_id)
    if found is None:
        raise NotFound("No such message is parked here; it may have been delivered meanwhile.")
    return found


async def _require_orderable(stores: Stores, message: ParkedMessage) -> None:
    if message.reason not in ORDERABLE:
        raise Conflict(_NEEDS_NO_ORDER[message.reason])
    if message.holder == message.device_id:
        found = await stores.gateways.get(message.device_id)
        if found is None or not found[0].pairings:
            raise Conflict("Nobody has ever owned this gateway; have it paired first.")


_NEEDS_NO_ORDER = {
    "refused": "The account's queue refused it: ingest delivers it, in order, when the queue takes "
    "again. See `parked held`.",
    "no_owner": "It waits for the gateway's first owner, who gets it by being paired: "
    "have the gateway paired.",
}


async def _all(
    stores: Stores,
    wanted: Filter,
    do: Callable[[Stores, str, str], Awaitable[ParkedMessage]],
) -> AsyncIterator[Progress]:
    done = left = 0
    limit = asyncio.Semaphore(AT_ONCE)

    async def attempt(message: ParkedMessage) -> bool:
        async with limit:
            try:
                await do(stores, message.holder, message.id)
            except (Conflict, NotFound):
                return False
            return True

    after = ""
    while True:
        found = await stores.parked.page(wanted, BATCH, after)
        outcomes = await asyncio.gather(*(attempt(each) for each in found.messages))
        done += sum(outcomes)
        left += len(outcomes) - sum(outcomes)
        yield Progress(done, left)
        after = found.next
        if not after:
            return


def _ordered_already() -> Conflict:
    return Conflict("Its redelivery is ordered already; ingest carries it out within seconds.")


def _changed() -> Conflict:
    return Conflict("It changed in the meantime; look at it again.")
