"""Changing an account's one document, so that nothing of it is lost or used twice."""

import asyncio
import random
from collections.abc import Callable

from services.api.store.accounts import Accounts
from shared.errors import Conflict, NotFound
from shared.schemas.accounts import Account

ATTEMPTS = 8  # under an ETag, before giving up
FIRST_WAIT_SECONDS = 0.01  # doubles with each attempt, and is spread


async def change_account(
    accounts: Accounts, user_id: str, change: Callable[[Account], Account]
) -> Account:
    """The account after `change`, which is given the account as it is, perhaps several times.

    What `change` raises goes through and nothing is changed. Returning the account itself writes
    nothing. Raises NotFound, Unavailable, and Conflict where others change it all the time.
    """
    wait = FIRST_WAIT_SECONDS
    for _ in range(ATTEMPTS):
        found = await accounts.get_with_etag(user_id)
        if found is None:
            raise NotFound("There is no account of this user id.")
        account, etag = found
        changed = change(account)
        if changed is account or await accounts.replace(changed, etag):
            return changed
        await asyncio.sleep(wait * random.uniform(0.5, 1.5))  # noqa: S311 - no secret
        wait *= 2
    raise Conflict("The account is being changed by others at the same time; try again.")
