"""Messages that are parked: looking at them, having them redelivered, discarding them.

Ingest parks and delivers; what is said here is an order to it. What a queue refused and what
waits for a first owner needs none: ingest delivers it by itself.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from services.api.logic.ids import check_record_id
from services.api.store.accounts import Accounts
from services.api.store.gateways import Gateways
from services.api.store.parked import Filter, Page, Parked
from services.api.store.redeliveries import Redeliveries, order_id
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.documents import ParkedMessage, Redelivery

MAX_PAGE = 1000
MAX_CHANGED = 500  # in one call of `change_some`
BATCH = 100  # messages read at once where all are meant
AT_ONCE = 8
ORDERABLE = ("malformed", "over_quota")
# A call to the database takes 5 s at most: an order that is not there after this never will be.
ORDERING = timedelta(minutes=1)


@dataclass(frozen=True)
class Stores:
    """What this reads and writes."""

    parked: Parked
    redeliveries: Redeliveries
    accounts: Accounts
    gateways: Gateways


@dataclass(frozen=True)
class Progress:
    """Of many messages: how many are done, how many were left as they are, and why the last."""

    done: int = 0
    left: int = 0
    why: str = ""


@dataclass(frozen=True)
class Held:
    """An account whose queue refuses. `oldest` is the first message held back, if still there."""

    user_id: str
    partitions: list[str]
    refused: int
    oldest: ParkedMessage | None


async def page(stores: Stores, wanted: Filter, limit: int, after: str = "") -> Page:
    """Some messages in the order of their sequence numbers. Raises InvalidRequest, and NotFound
    where nothing is parked for what does not exist."""
    if not 1 <= limit <= MAX_PAGE:
        raise InvalidRequest(f"A page has 1 to {MAX_PAGE} messages.")
    found = await stores.parked.page(wanted, limit, after)
    if not found.messages:
        await _require_known(stores, wanted.holder)
    return found


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
    """How many messages a filter matches. Raises NotFound as `page` does."""
    number = await stores.parked.count(wanted)
    if number == 0:
        await _require_known(stores, wanted.holder)
    return number


def to_redeliver(wanted: Filter) -> Filter:
    """Of what a filter matches, the messages that an order would deliver. Raises InvalidRequest."""
    reasons = tuple(each for each in wanted.reasons or ORDERABLE if each in ORDERABLE)
    if not reasons:
        raise InvalidRequest(_NEEDS_NO_ORDER[wanted.reasons[0]])
    # An order that was interrupted is among them, and completed.
    return replace(wanted, reasons=reasons, not_ordered_since=datetime.now(UTC) - ORDERING)


def redeliver_all(stores: Stores, wanted: Filter, total: int) -> AsyncIterator[Progress]:
    """Order what `to_redeliver` gave, page by page, in order: the first `total` messages."""
    return _all(stores, wanted, total, redeliver)


def discard_all(stores: Stores, wanted: Filter, total: int) -> AsyncIterator[Progress]:
    """Discard what a filter matches, page by page: the first `total` messages.

    No more than were counted, though ingest may park others meanwhile.
    """
    return _all(stores, wanted, total, discard)


async def change_some(
    stores: Stores, wanted: Filter, verb: Literal["redeliver", "discard"]
) -> tuple[Progress, bool]:
    """What a filter matches, MAX_CHANGED of it at most; and whether there is more.

    Raises InvalidRequest where none of the reasons can be ordered.
    """
    if verb == "redeliver":
        wanted = to_redeliver(wanted)
    total = await stores.parked.count(wanted)
    progress = Progress()
    some = min(total, MAX_CHANGED)
    steps = redeliver_all if verb == "redeliver" else discard_all
    async for step in steps(stores, wanted, some):
        progress = step
    return progress, total > some


async def held(stores: Stores) -> list[Held]:
    """The accounts whose queues refuse now, with what waits for each."""
    partitions: dict[str, list[str]] = {}
    for position in await stores.redeliveries.positions():
        for user_id in position.held:
            partitions.setdefault(user_id, []).append(position.partition)
    limit = asyncio.Semaphore(AT_ONCE)

    async def look(user_id: str) -> Held:
        refused = Filter(user_id, reasons=("refused",))
        async with limit:
            first = (await stores.parked.page(refused, 1)).messages
            number = await stores.parked.count(refused)
        return Held(user_id, sorted(partitions[user_id]), number, first[0] if first else None)

    return await asyncio.gather(*map(look, sorted(partitions)))


def body_of(body: bytes) -> tuple[str, Literal["text", "hex"]]:
    """A body for people, and its encoding: `text` where it is printable UTF-8, else `hex`."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return body.hex(), "hex"
    if all(character.isprintable() or character in "\t\r\n" for character in text):
        return text, "text"
    return body.hex(), "hex"


async def _get(stores: Stores, holder: str, message_id: str) -> tuple[ParkedMessage, str]:
    found = await stores.parked.get(holder, check_record_id(message_id))
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
    "again.",
    "no_owner": "It waits for the gateway's first owner, who gets it by being paired: "
    "have the gateway paired.",
}


async def _all(
    stores: Stores,
    wanted: Filter,
    total: int,
    do: Callable[[Stores, str, str], Awaitable[ParkedMessage]],
) -> AsyncIterator[Progress]:
    progress = Progress()
    limit = asyncio.Semaphore(AT_ONCE)

    async def attempt(message: ParkedMessage) -> str:
        """Why it was left; "" if it was not."""
        async with limit:
            try:
                await do(stores, message.holder, message.id)
            except (Conflict, NotFound) as error:
                return str(error)
            return ""

    after = ""
    while room := total - progress.done - progress.left:
        found = await stores.parked.page(wanted, min(BATCH, room), after)
        left = [why for why in await asyncio.gather(*map(attempt, found.messages)) if why]
        progress = Progress(
            progress.done + len(found.messages) - len(left),
            progress.left + len(left),
            left[-1] if left else progress.why,
        )
        yield progress
        after = found.next
        if not after:
            return


async def _require_known(stores: Stores, holder: str) -> None:
    """A filter matched nothing: is its holder at least one that exists, or has messages?"""
    if await stores.gateways.get(holder) or await stores.accounts.get(holder):
        return
    if await stores.parked.count(Filter(holder)):
        return
    what = "gateway of this device id" if holder.startswith("X400_") else "account of this user id"
    raise NotFound(f"There is no {what}, and nothing is parked for it.")


def _ordered_already() -> Conflict:
    return Conflict("Its redelivery is ordered already; ingest carries it out within seconds.")


def _changed() -> Conflict:
    return Conflict("It changed in the meantime; look at it again.")
