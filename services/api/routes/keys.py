"""API keys: making, renewing with an overlap, revoking them."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Depends, Path, Response

from services.api.entities.keys import ApiKey, CreateKey, NewApiKey, RenewKey, UpdateKey
from services.api.logic import keys
from services.api.logic.access import maker_is_gone
from services.api.logic.ids import check_key_id
from services.api.logic.key_views import key_view, new_key_view
from services.api.resources import Resources
from services.api.routes.dependencies import Caller, Opened
from services.api.routes.errors import refusals
from services.api.routes.etags import IfMatch, set_etag
from services.api.routes.router import customer_router
from shared.schemas.accounts import Account
from shared.schemas.accounts import ApiKey as StoredKey
from shared.schemas.contract import Result

router = customer_router("account")


def _key_id(
    _caller: Caller,
    keyid: Annotated[str, Path(description="The APIKEY's `id`.", examples=["4f1c08be2a9d7763"])],
) -> str:
    return check_key_id(keyid)


KeyId = Annotated[str, Depends(_key_id)]


@router.get(
    "/account/keys",
    operation_id="listKeys",
    summary="All API keys and their last use",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_keys(resources: Opened, caller: Caller) -> list[ApiKey]:
    """Every key, expired ones too, the oldest first; and who would break if it were revoked."""
    return await _views(resources, caller.account, caller.account.api_keys)


@router.post(
    "/account/keys",
    operation_id="createKey",
    summary="Make an API key",
    status_code=201,
    responses=refusals(400, 401, 403, 408, 409, 413, 415, 429, 503),
)
async def create_key(
    resources: Opened, response: Response, caller: Caller, body: CreateKey
) -> NewApiKey:
    """The reply is the only one that holds the key itself. An account has 50 keys at most."""
    made = await keys.make_key(
        resources.accounts,
        caller.user_id,
        name=body.name,
        scopes=body.scopes,
        expires_at=body.expires_at,
        by=caller.principal,
        now=datetime.now(UTC),
    )
    _locate(response, caller.user_id, made)
    return new_key_view(made, datetime.now(UTC))


@router.get(
    "/account/keys/{keyid}",
    operation_id="getKey",
    summary="One API key and its last use",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def read_key(resources: Opened, response: Response, caller: Caller, key_id: KeyId) -> ApiKey:
    """The `ETag` is what `PATCH` and `DELETE` take as `If-Match`."""
    key = keys.key_of(caller.account, key_id)
    set_etag(response, keys.version_of(key))
    [view] = await _views(resources, caller.account, [key])
    return view


@router.patch(
    "/account/keys/{keyid}",
    operation_id="updateKey",
    summary="Edit an API key",
    responses=refusals(400, 401, 403, 404, 408, 409, 412, 413, 415, 429, 503),
)
async def update_key(
    *,
    resources: Opened,
    response: Response,
    caller: Caller,
    key_id: KeyId,
    body: UpdateKey,
    if_match: IfMatch,
) -> ApiKey:
    """Name, scopes or expiry; also to prolong or shorten the overlap of a renewal.

    Open invitations made with a key that may not manage the account any more are deleted. Refused
    (409) where nobody could manage the account any more.
    """
    key = await keys.edit_key(
        resources.accounts,
        caller.user_id,
        key_id,
        body.model_dump(exclude_unset=True),
        if_match=if_match,
        by=caller.principal,
        now=datetime.now(UTC),
    )
    set_etag(response, keys.version_of(key))
    [view] = await _views(resources, caller.account, [key])
    return view


@router.post(
    "/account/keys/{keyid}/renew",
    operation_id="renewKey",
    summary="Renew an API key",
    status_code=201,
    responses=refusals(400, 401, 403, 404, 408, 409, 413, 415, 429, 503),
)
async def renew_key(
    resources: Opened, response: Response, caller: Caller, key_id: KeyId, body: RenewKey
) -> NewApiKey:
    """A new key of the same name, scopes and lifetime; the old one ends after the overlap.

    While both are valid, move your clients; the last use of the old key shows who still has it.
    Without an overlap, open invitations made with the old key end with it.
    """
    made = await keys.renew_key(
        resources.accounts,
        caller.user_id,
        key_id,
        overlap=timedelta(seconds=body.overlap_seconds),
        by=caller.principal,
        now=datetime.now(UTC),
    )
    _locate(response, caller.user_id, made)
    return new_key_view(made, datetime.now(UTC))


@router.delete(
    "/account/keys/{keyid}",
    operation_id="revokeKey",
    summary="Revoke an API key",
    responses=refusals(400, 401, 403, 404, 409, 412, 429, 503),
)
async def revoke_key(resources: Opened, caller: Caller, key_id: KeyId, if_match: IfMatch) -> Result:
    """It ends at once, and so do open invitations made with it. Refused (409) where nobody could
    manage the account any more."""
    account = await keys.revoke_key(resources.accounts, caller.user_id, key_id, if_match=if_match)
    await resources.key_uses.tidy(caller.user_id, {key.id for key in account.api_keys})
    return Result(result="revoked")


async def _views(resources: Resources, account: Account, some: list[StoredKey]) -> list[ApiKey]:
    uses, now = await resources.key_uses.of_account(account.user_id), datetime.now(UTC)
    return [
        key_view(key, uses.get(key.id), now, maker_gone=maker_is_gone(account, key)) for key in some
    ]


def _locate(response: Response, user_id: str, made: keys.MadeKey) -> None:
    response.headers["Location"] = f"/api/user/{user_id}/-/account/keys/{made.key.id}"
    set_etag(response, keys.version_of(made.key))
