"""Who is calling, by an API key."""

import hashlib
import hmac
from datetime import datetime

from services.api.logic.access import Principal, is_valid
from services.api.logic.ids import is_user_id
from services.api.store.accounts import Accounts
from shared.errors import Unauthorized
from shared.schemas.accounts import Account

# Compared with where there is no account, so that the answer takes as long.
_NO_HASH = "0" * 64


def hash_key(key: str) -> str:
    """SHA-256 in hex: a key is 256 random bits, so one round is enough."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


async def authenticate(
    accounts: Accounts, user_id: str, key: str, now: datetime
) -> tuple[Account, Principal]:
    """The account that this key opens, and the key as a principal.

    Raises Unauthorized, with the same words for an unknown account and for a wrong key. Only
    who holds an expired key is told that it expired.
    """
    account = await accounts.get(user_id) if is_user_id(user_id) else None
    stored = account.api_keys if account else []
    given = hash_key(key)
    matches = [hmac.compare_digest(given, each.sha256) for each in stored]
    if account is None or not any(matches or [hmac.compare_digest(given, _NO_HASH)]):
        raise Unauthorized("Unknown user id or wrong API key; check both in your user profile.")
    found = stored[matches.index(True)]
    if not is_valid(found, now):
        raise Unauthorized(
            "This API key has expired; use the one that it was renewed to, or ask an owner of the "
            "account for another."
        )
    return account, Principal("key", found.id, found.name, frozenset(found.scopes))
