"""An account's queue: what waits there, and renewing what opens it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.api.logic.account_changes import change_account
from services.api.store.accounts import Accounts
from services.api.store.parked import Filter, Parked
from services.api.store.queues import Queues, QueueState
from shared.errors import Conflict, MyMoteError
from shared.schemas.accounts import Account

MISSING = QueueState("", 0, 0, 0, 0, "Missing")
REFUSED = ("refused",)  # why ingest parks what a queue does not take

# Longer than a renewal's two calls may take; only after a crash it is waited for.
RENEWAL = timedelta(seconds=60)


@dataclass(frozen=True)
class QueueView:
    """The queue, and how many messages the platform holds because it refused them."""

    state: QueueState
    held: int


async def read_queue(queues: Queues, parked: Parked, account: Account) -> QueueView:
    """Raises Unavailable."""
    state = await queues.state(account.servicebus_namespace, account.queue)
    held = await parked.count(Filter(account.user_id, reasons=REFUSED))
    return QueueView(state or MISSING, held)


async def renew_queue_key(
    accounts: Accounts, queues: Queues, account: Account, *, end_previous: bool, now: datetime
) -> None:
    """A new key opens the queue; the previous one until the next renewal, unless ended now.

    Raises Unavailable, and Conflict where it is being renewed already or the queue is missing.
    """
    async with _alone(accounts, account.user_id, now + RENEWAL, now):
        renewed = await queues.renew(
            account.servicebus_namespace, account.queue, end_previous=end_previous
        )
    if renewed is None:
        raise Conflict(
            "This account's queue is missing; the platform's operator makes it again with "
            "`mymote-operator account create` and the same user id."
        )


@asynccontextmanager
async def _alone(
    accounts: Accounts, user_id: str, until: datetime, now: datetime
) -> AsyncIterator[None]:
    """Two renewals at once would end each other's keys. Raises Conflict."""

    def claim(account: Account) -> Account:
        if account.queue_renewal_until and now < account.queue_renewal_until:
            raise Conflict("The queue's key is being renewed at this moment; read it in a minute.")
        return account.model_copy(update={"queue_renewal_until": until})

    def release(account: Account) -> Account:
        if account.queue_renewal_until != until:
            return account
        return account.model_copy(update={"queue_renewal_until": None})

    await change_account(accounts, user_id, claim)
    try:
        yield
    finally:
        with suppress(MyMoteError):  # it ends by itself
            await change_account(accounts, user_id, release)
