"""Who is calling."""

import hashlib
import hmac

from services.api.logic.ids import is_user_id
from services.api.store.accounts import Accounts
from shared.errors import Unauthorized
from shared.schemas.documents import Account

# Compared with where there is no account, so that the answer takes as long.
_NO_HASH = "0" * 64


def hash_key(key: str) -> str:
    """SHA-256 in hex: a key is 256 random bits, so one round is enough."""
    return hashlib.sha256(key.encode(errors="replace")).hexdigest()


async def authenticate(accounts: Accounts, user_id: str, key: str) -> Account:
    """The account that this key opens.

    Raises Unauthorized, with the same words for an unknown account and for a wrong key.
    """
    account = await accounts.get(user_id) if is_user_id(user_id) else None
    hashes = [stored.sha256 for stored in account.api_keys] if account else []
    given = hash_key(key)
    matches = [hmac.compare_digest(given, stored) for stored in hashes or [_NO_HASH]]
    if account is None or not any(matches):
        raise Unauthorized("Unknown user id or wrong API key; check both in your user profile.")
    return account
