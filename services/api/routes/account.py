"""The account: its profile and its queue."""

from datetime import UTC, datetime

from fastapi import Response

from services.api.entities.account import Profile, UpdateProfile
from services.api.entities.queue import Queue, RenewQueueKey
from services.api.logic.accounts import edit_profile, profile_version
from services.api.logic.queue import QueueView, read_queue, renew_queue_key
from services.api.resources import Resources
from services.api.routes.dependencies import Caller, Calling, Opened
from services.api.routes.errors import refusals
from services.api.routes.etags import IfMatch, set_etag
from services.api.routes.router import customer_router
from shared.schemas.accounts import Account

router = customer_router("account")


@router.get(
    "/account",
    operation_id="getAccount",
    summary="The profile",
    responses=refusals(400, 401, 403, 429, 503),
)
async def read_account(response: Response, caller: Caller) -> Profile:
    """Who the customer is. The `ETag` is what `PATCH` takes as `If-Match`."""
    set_etag(response, profile_version(caller.account))
    return _profile(caller.account)


@router.patch(
    "/account",
    operation_id="updateAccount",
    summary="Edit the profile",
    responses=refusals(400, 401, 403, 408, 409, 412, 413, 415, 429, 503),
)
async def update_account(
    resources: Opened, response: Response, caller: Caller, body: UpdateProfile, if_match: IfMatch
) -> Profile:
    """Change what is given; the rest stays as it is."""
    account = await edit_profile(
        resources.accounts,
        caller.user_id,
        body.model_dump(exclude_unset=True),
        if_match=if_match,
    )
    set_etag(response, profile_version(account))
    return _profile(account)


@router.get(
    "/account/queue",
    operation_id="getQueue",
    summary="The queue and what waits there",
    responses=refusals(400, 401, 403, 429, 503),
)
async def read_account_queue(resources: Opened, caller: Caller) -> Queue:
    """Where the account's data arrives, as Service Bus tells it now."""
    return await _queue(resources, caller)


@router.post(
    "/account/queue/renew",
    operation_id="renewQueueKey",
    summary="Renew the queue's connection string",
    responses=refusals(400, 401, 403, 408, 409, 413, 415, 429, 503),
)
async def renew_queue(resources: Opened, caller: Caller, body: RenewQueueKey) -> Queue:
    """Move your consumers to the new connection string: the one before it stays valid until the
    next renewal, the one before that ends now.
    """
    await renew_queue_key(
        resources.accounts,
        resources.queues,
        caller.account,
        end_previous=body.end_previous,
        now=datetime.now(UTC),
    )
    return await _queue(resources, caller)


async def _queue(resources: Resources, caller: Calling) -> Queue:
    view = await read_queue(resources.queues, resources.parked, caller.account)
    return _shown(view, caller.account, with_key=caller.principal.full)


def _shown(view: QueueView, account: Account, *, with_key: bool) -> Queue:
    return Queue(
        name=account.queue,
        namespace=account.servicebus_namespace,
        connection_string=view.state.connection_string if with_key else "",
        active_messages=view.state.active_messages,
        dead_letters=view.state.dead_letters,
        size_bytes=view.state.size_bytes,
        max_megabytes=view.state.max_megabytes,
        state=view.state.status,
        held=view.held,
    )


def _profile(account: Account) -> Profile:
    return Profile(
        user_id=account.user_id,
        username=account.username,
        company=account.company,
        email=account.email,
        telephone=account.telephone,
        created_at=account.created_at,
    )
