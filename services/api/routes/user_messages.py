"""User messages after they were accepted: their state, and calling them back."""

from typing import Annotated

from fastapi import Depends, Path, Query

from services.api.documents.user_messages import OPEN, MessageState, UserMessage
from services.api.entities.user_messages import (
    UserMessagePage,
    UserMessageState,
    WantedMessageState,
)
from services.api.logic import ids, user_messages
from services.api.logic.user_messages import Stores
from services.api.routes.dependencies import Caller, DeviceId, Opened
from services.api.routes.errors import refusals
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from services.api.routes.router import customer_router

router = customer_router("user messages")


def _stores(resources: Opened) -> Stores:
    return Stores(resources.devices, resources.gateways, resources.sender)


Messages = Annotated[Stores, Depends(_stores)]

MessageId = Annotated[
    str,
    Path(
        alias="messageid",
        description="The USERMESSAGE's `id`.",
        examples=["5b0a7c9e-3f1d-4c8a-9d53-0a4b7e6c2f18"],
    ),
]


@router.get(
    "/devices/{deviceid}/messages",
    operation_id="listUserMessages",
    summary="List user messages to a device",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def list_user_messages(
    *,
    stores: Messages,
    caller: Caller,
    device_id: DeviceId,
    state: Annotated[
        WantedMessageState | None, Query(description="`open` is what is waiting or sent.")
    ] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = "",
) -> UserMessagePage:
    """Newest first; a message is kept for 30 days after its end."""
    page = await user_messages.list_messages(
        stores, caller.user_id, device_id, _states(state), limit=limit, cursor=cursor
    )
    return UserMessagePage(items=[_entity(each) for each in page.messages], next=page.next)


@router.get(
    "/devices/{deviceid}/messages/{messageid}",
    operation_id="getUserMessage",
    summary="Read a user message and its state",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def get_user_message(
    stores: Messages, caller: Caller, device_id: DeviceId, message_id: MessageId
) -> UserMessageState:
    """What became of it so far."""
    ids.check_message_id(message_id)
    return _entity(await user_messages.get_message(stores, caller.user_id, device_id, message_id))


@router.delete(
    "/devices/{deviceid}/messages/{messageid}",
    operation_id="cancelUserMessage",
    summary="Cancel a user message",
    responses=refusals(400, 401, 403, 404, 409, 429, 503),
)
async def cancel_user_message(
    stores: Messages, caller: Caller, device_id: DeviceId, message_id: MessageId
) -> UserMessageState:
    """Called back also where it is on its way; once it has its end, that is 409.

    A gateway that is taking it at this very moment may have it still: then it becomes `delivered`.
    """
    ids.check_message_id(message_id)
    return _entity(await user_messages.cancel(stores, caller.user_id, device_id, message_id))


def _states(wanted: WantedMessageState | None) -> tuple[MessageState, ...]:
    if wanted is None:
        return ()
    return OPEN if wanted is WantedMessageState.OPEN else (MessageState(wanted.value),)


def _entity(message: UserMessage) -> UserMessageState:
    names = UserMessageState.model_fields
    return UserMessageState.model_validate(message.model_dump(include=set(names)))
