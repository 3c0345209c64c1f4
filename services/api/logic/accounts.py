"""Making accounts, their keys and groups."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.api.logic.authentication import hash_key
from services.api.logic.ids import check_group_id, check_user_id, new_api_key
from services.api.store.accounts import Accounts
from services.api.store.groups import Groups
from services.api.store.queues import Queues
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.accounts import Account, ApiKey
from shared.schemas.documents import GroupDocument

ATTEMPTS = 5  # under an ETag, before giving up
MAX_NAME = 100


@dataclass(frozen=True)
class NewAccount:
    """An account with what opens it. `api_key` is "" where it was shown before."""

    account: Account
    api_key: str
    queue_connection_string: str


async def create_account(
    accounts: Accounts,
    queues: Queues,
    *,
    user_id: str,
    username: str,
    duplicate_window: timedelta,
) -> NewAccount:
    """Make account, queue and first API key.

    Calling again with the same user id completes what was interrupted and gives no second key.
    Raises InvalidRequest and Unavailable.
    """
    check_user_id(user_id)
    if not username.strip() or len(username) > MAX_NAME:
        raise InvalidRequest(f"A username is 1 to {MAX_NAME} characters.")
    account = await accounts.get(user_id)
    if account is None:
        account = Account(
            id=user_id,
            user_id=user_id,
            username=username,
            servicebus_namespace=await _emptiest(accounts, queues),
            queue=f"user-{user_id}",
            api_keys=[],
            created_at=datetime.now(UTC),
        )
        if not await accounts.create(account):
            raise Conflict("The account is being made by someone else at the same time.")
    connection_string = await queues.ensure(
        account.servicebus_namespace, account.queue, duplicate_window
    )
    # The key comes last: an account without one is one whose making was interrupted.
    api_key = "" if account.api_keys else await add_key(accounts, user_id, "first")
    return NewAccount(account, api_key, connection_string)


async def add_key(accounts: Accounts, user_id: str, name: str) -> str:
    """A new API key of an account, which is stored nowhere. Raises NotFound, Conflict."""
    for _ in range(ATTEMPTS):
        found = await accounts.get_with_etag(user_id)
        if found is None:
            raise NotFound("There is no account of this user id.")
        account, etag = found
        key = new_api_key()
        digest = hash_key(key)
        stored = ApiKey(id=digest[:16], name=name, sha256=digest, created_at=datetime.now(UTC))
        changed = account.model_copy(update={"api_keys": [*account.api_keys, stored]})
        if await accounts.replace(changed, etag):
            return key
    raise Conflict("The account is being changed by others at the same time; try again.")


async def create_group(accounts: Accounts, groups: Groups, group: GroupDocument) -> bool:
    """False where the group exists already. Raises InvalidRequest, NotFound."""
    check_group_id(group.id)
    if await accounts.get(group.user_id) is None:
        raise NotFound("There is no account of this user id.")
    return await groups.create(group)


async def _emptiest(accounts: Accounts, queues: Queues) -> str:
    """A Standard namespace takes about 2,000 accounts (design.md, "Where it is kept")."""
    if len(queues.namespaces) == 1:
        return queues.namespaces[0]  # counting reads every account
    used = await accounts.count_by_namespace()
    return min(queues.namespaces, key=lambda name: used[name])
