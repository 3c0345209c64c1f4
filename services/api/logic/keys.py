"""An account's API keys: making, editing, renewing with an overlap, revoking them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.api.logic.access import (
    Principal,
    has_full_way_in,
    is_valid,
    require_still_manages,
    without_invitations_of,
)
from services.api.logic.account_changes import change_account
from services.api.logic.audit import OPERATOR
from services.api.logic.authentication import hash_key
from services.api.logic.ids import new_api_key
from services.api.logic.versions import require_unchanged, tag_of
from services.api.store.accounts import Accounts
from shared.errors import Conflict, InvalidRequest, NotFound
from shared.schemas.accounts import Account, ApiKey, Scope

MAX_KEYS = 50  # of an account: they are read with every call
MAX_LIFETIME = timedelta(days=3650)  # where a key expires at all


@dataclass(frozen=True)
class MadeKey:
    """A new key. `secret` is the key itself, which is shown once and stored nowhere."""

    key: ApiKey
    secret: str


def key_of(account: Account, key_id: str) -> ApiKey:
    """Raises NotFound."""
    for key in account.api_keys:
        if key.id == key_id:
            return key
    raise NotFound(
        "This account has no API key of this id; GET .../account/keys lists those it has."
    )


def version_of(key: ApiKey) -> str:
    """Its ETag: what people may edit."""
    return tag_of(key.id, key.name, key.scopes, key.expires_at)


async def make_key(
    accounts: Accounts,
    user_id: str,
    *,
    name: str,
    scopes: Sequence[Scope],
    expires_at: datetime | None,
    by: Principal | None,
    now: datetime,
) -> MadeKey:
    """By the platform's operator where `by` is None.

    Raises InvalidRequest, NotFound, Conflict where the account has `MAX_KEYS`, and Forbidden for
    who was put out since their call began.
    """
    secret = new_api_key()
    new = _new_key(secret, name, scopes, by, now)
    new.expires_at = _checked_expiry(expires_at, now)

    def change(account: Account) -> Account:
        require_still_manages(account, by)
        return _with_keys(account, _added(account.api_keys, new, now))

    await change_account(accounts, user_id, change)
    return MadeKey(new, secret)


async def edit_key(
    accounts: Accounts,
    user_id: str,
    key_id: str,
    changes: dict[str, object],
    *,
    if_match: str | None,
    by: Principal,
    now: datetime,
) -> ApiKey:
    """Name, scopes or expiry. Raises InvalidRequest, NotFound, Changed, Conflict, Forbidden."""
    expires_at = changes.get("expires_at")
    if isinstance(expires_at, datetime):
        changes = {**changes, "expires_at": _checked_expiry(expires_at, now)}
    if isinstance(scopes := changes.get("scopes"), list):
        changes = {**changes, "scopes": sorted(set(scopes))}

    def change(account: Account) -> Account:
        require_still_manages(account, by)
        key = key_of(account, key_id)
        require_unchanged(if_match, version_of(key))
        edited = key.model_copy(update=changes)
        if edited == key:
            return account
        changed = _keeping_a_way_in(account, _replaced(account.api_keys, edited))
        return changed if Scope.ADMIN in edited.scopes else without_invitations_of(changed, key_id)

    return key_of(await change_account(accounts, user_id, change), key_id)


async def renew_key(
    accounts: Accounts,
    user_id: str,
    key_id: str,
    *,
    overlap: timedelta,
    by: Principal | None,
    now: datetime,
) -> MadeKey:
    """A new key of the same name, scopes and lifetime; the old one ends after the overlap, and
    where there is none, so do the invitations made with it.

    Raises NotFound, Conflict where the key was renewed already or there are `MAX_KEYS`, and
    Forbidden as `make_key`.
    """
    secret = new_api_key()

    def change(account: Account) -> Account:
        require_still_manages(account, by)
        old = key_of(account, key_id)
        if any(key.id == old.replaced_by for key in account.api_keys):
            raise Conflict(
                f"This key was renewed already, to the key {old.replaced_by}; renew that one, or "
                "revoke it first where it was lost."
            )
        new = _new_key(secret, old.name, old.scopes, by, now)
        if old.expires_at:
            new.expires_at = now + min(old.expires_at - old.created_at, MAX_LIFETIME)
        ends = now + overlap
        ending = old.model_copy(
            update={
                "expires_at": min(old.expires_at or ends, ends),
                "replaced_by": new.id,
            }
        )
        keys = _added(account.api_keys, new, now)
        changed = _with_keys(account, _replaced(keys, ending))
        return changed if overlap else without_invitations_of(changed, key_id)

    account = await change_account(accounts, user_id, change)
    return MadeKey(key_of(account, _id_of(secret)), secret)


async def revoke_key(
    accounts: Accounts, user_id: str, key_id: str, *, if_match: str | None
) -> Account:
    """At once, with the invitations made with it.

    Raises NotFound, Changed, and Conflict for the last way in with full scope.
    """

    def change(account: Account) -> Account:
        key = key_of(account, key_id)
        require_unchanged(if_match, version_of(key))
        others = [each for each in account.api_keys if each.id != key_id]
        return without_invitations_of(_keeping_a_way_in(account, others), key_id)

    return await change_account(accounts, user_id, change)


def _new_key(
    secret: str, name: str, scopes: Sequence[Scope], by: Principal | None, now: datetime
) -> ApiKey:
    return ApiKey(
        id=_id_of(secret),
        name=name,
        sha256=hash_key(secret),
        scopes=sorted(set(scopes)),
        created_at=now,
        created_by=by.name if by else OPERATOR.name,
        created_by_id=by.id if by else OPERATOR.id,
    )


def _id_of(secret: str) -> str:
    return hash_key(secret)[:16]


def _added(keys: Sequence[ApiKey], new: ApiKey, now: datetime) -> list[ApiKey]:
    """Where there is no room, the key that expired first makes room. Raises Conflict."""
    if len(keys) < MAX_KEYS:
        return [*keys, new]
    expired = [key for key in keys if not is_valid(key, now)]
    if not expired:
        raise Conflict(f"An account has {MAX_KEYS} API keys at most; revoke one first.")
    first = min(expired, key=lambda key: key.expires_at or now)
    return [*(key for key in keys if key is not first), new]


def _replaced(keys: Sequence[ApiKey], edited: ApiKey) -> list[ApiKey]:
    return [edited if key.id == edited.id else key for key in keys]


def _with_keys(account: Account, keys: list[ApiKey]) -> Account:
    return account.model_copy(update={"api_keys": keys})


def _keeping_a_way_in(account: Account, keys: list[ApiKey]) -> Account:
    """Raises Conflict where nobody could manage the account any more."""
    changed = _with_keys(account, keys)
    if has_full_way_in(account) and not has_full_way_in(changed):
        raise Conflict(
            "This is the last way in with full scope; renew it, or make another key of scope "
            "'admin' without expiry, or invite an owner, first."
        )
    return changed


def _checked_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    """In UTC. Raises InvalidRequest."""
    if expires_at is None:
        return None
    if not now < expires_at <= now + MAX_LIFETIME:
        raise InvalidRequest(
            f"expires_at must be in the future, and at most {MAX_LIFETIME.days} days from now; "
            "revoke a key to end it at once."
        )
    return expires_at.astimezone(UTC)
