"""Making accounts, over the Service Bus namespaces, and editing their profile."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.api.logic.account_changes import change_account
from services.api.logic.ids import check_group_id, check_user_id
from services.api.logic.keys import make_key
from services.api.logic.versions import require_unchanged, tag_of
from services.api.store.accounts import Accounts
from services.api.store.groups import Groups
from services.api.store.namespaces import Namespaces
from services.api.store.queues import Queues
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.accounts import Account, Scope
from shared.schemas.documents import GroupDocument

MAX_NAME = 100
FIRST_KEY = "first"


@dataclass(frozen=True)
class AccountStores:
    """What is changed, and what a new account gets."""

    accounts: Accounts
    queues: Queues
    namespaces: Namespaces
    duplicate_window: timedelta
    accounts_per_namespace: int


@dataclass(frozen=True)
class NewAccount:
    """An account with what opens it. `api_key` is "" where it was shown before."""

    account: Account
    api_key: str
    queue_connection_string: str


@dataclass(frozen=True)
class NamespaceUse:
    """How full a Service Bus namespace of the settings is."""

    name: str
    accounts: int
    capacity: int


async def create_account(stores: AccountStores, *, user_id: str, username: str) -> NewAccount:
    """Make account, queue and first API key.

    Calling again with the same user id completes what was interrupted and gives no second key.
    Raises InvalidRequest, Conflict where all namespaces are full, and Unavailable.
    """
    check_user_id(user_id)
    if not username.strip() or len(username) > MAX_NAME:
        raise InvalidRequest(f"A username is 1 to {MAX_NAME} characters.")
    account = await stores.accounts.get(user_id)
    if account is None:
        account = await _create(stores, user_id, username)
    connection_string = await stores.queues.ensure(
        account.servicebus_namespace, account.queue, stores.duplicate_window
    )
    # The key comes last: an account that nobody can open is one whose making was interrupted.
    complete = account.api_keys or account.members
    api_key = "" if complete else await add_key(stores.accounts, user_id, FIRST_KEY)
    return NewAccount(account, api_key, connection_string)


async def add_key(accounts: Accounts, user_id: str, name: str) -> str:
    """A new API key with full scope, which is stored nowhere. Raises NotFound, Conflict."""
    made = await make_key(
        accounts,
        user_id,
        name=name,
        scopes=[Scope.ADMIN],
        expires_at=None,
        by=None,
        now=datetime.now(UTC),
    )
    return made.secret


def profile_version(account: Account) -> str:
    """The profile's ETag."""
    return tag_of(account.username, account.company, account.email, account.telephone)


async def edit_profile(
    accounts: Accounts, user_id: str, changes: dict[str, str], *, if_match: str | None
) -> Account:
    """username, company, email, telephone. Raises Changed, Conflict, Unavailable."""

    def change(account: Account) -> Account:
        require_unchanged(if_match, profile_version(account))
        edited = account.model_copy(update=changes)
        return account if edited == account else edited

    return await change_account(accounts, user_id, change)


async def create_group(accounts: Accounts, groups: Groups, group: GroupDocument) -> bool:
    """False where the group exists already. Raises InvalidRequest, NotFound."""
    check_group_id(group.id)
    if await accounts.get(group.user_id) is None:
        raise NotFound("There is no account of this user id.")
    return await groups.create(group)


async def namespaces_in_use(stores: AccountStores) -> list[NamespaceUse]:
    """Each namespace of the settings, in their order."""
    counts = await asyncio.gather(*(_count(stores, name) for name in stores.queues.namespaces))
    return [
        NamespaceUse(name, count, stores.accounts_per_namespace)
        for name, count in zip(stores.queues.namespaces, counts, strict=True)
    ]


async def recount_namespaces(stores: AccountStores) -> list[NamespaceUse]:
    """Count all accounts anew; those that are being made meanwhile may be left out."""
    for name in stores.queues.namespaces:
        await stores.namespaces.put(name, await stores.accounts.count_in(name))
    return await namespaces_in_use(stores)


async def _create(stores: AccountStores, user_id: str, username: str) -> Account:
    namespace = await _take_place(stores)
    account = Account(
        id=user_id,
        user_id=user_id,
        username=username,
        servicebus_namespace=namespace,
        queue=f"user-{user_id}",
        api_keys=[],
        created_at=datetime.now(UTC),
    )
    if not await stores.accounts.create(account):
        await stores.namespaces.give_back(namespace)
        raise Conflict("The account is being made by someone else at the same time.")
    return account


async def _take_place(stores: AccountStores) -> str:
    """A place in the emptiest namespace; its cost does not depend on how many accounts exist."""
    while True:
        uses = await namespaces_in_use(stores)
        emptiest = min(uses, key=lambda use: use.accounts)
        if emptiest.accounts >= emptiest.capacity:
            raise Conflict(
                f"Every Service Bus namespace has its {emptiest.capacity} accounts; add one to "
                "MYMOTE_SERVICEBUS_NAMESPACES, or raise MYMOTE_ACCOUNTS_PER_NAMESPACE."
            )
        if await stores.namespaces.take(emptiest.name, emptiest.capacity):
            return emptiest.name


async def _count(stores: AccountStores, name: str) -> int:
    """Counted account by account once only, where nobody has counted before."""
    known = await stores.namespaces.accounts(name)
    if known is None:
        known = await stores.accounts.count_in(name)
        await stores.namespaces.begin(name, known)
    return known
