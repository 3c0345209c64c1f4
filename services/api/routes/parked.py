"""Messages that are not delivered yet."""

from base64 import b64decode
from typing import Annotated, Literal

from fastapi import Depends, Path, Query, Request

from services.api.entities.parked import (
    ParkedChanged,
    ParkedMessage,
    ParkedMessageWhole,
    ParkedPage,
    ParkedReason,
    ParkedSelection,
)
from services.api.logic import ids, parked
from services.api.logic.parked import Stores
from services.api.routes.dependencies import Caller, Opened
from services.api.routes.errors import refusals
from services.api.routes.idempotency import Idempotent
from services.api.routes.paging import DEFAULT_PAGE, Cursor, Limit
from services.api.routes.router import customer_router
from services.api.store.parked import Filter
from shared.schemas import documents
from shared.schemas.contract import Result

router = customer_router("parked messages")


def _stores(resources: Opened) -> Stores:
    return Stores(resources.parked, resources.redeliveries, resources.accounts, resources.gateways)


Opener = Annotated[Stores, Depends(_stores)]

MessageId = Annotated[
    str,
    Path(
        alias="parkedid",
        description="The PARKEDMESSAGE's `id`.",
        examples=["5d41402abc4b2a76b9719d911017c592"],
    ),
]


@router.get(
    "/parked",
    operation_id="listParkedMessages",
    summary="List parked messages",
    responses=refusals(400, 401, 403, 429, 503),
)
async def list_parked(
    *,
    stores: Opener,
    caller: Caller,
    device_id: Annotated[str, Query(description="Of this device only.")] = "",
    reason: Annotated[ParkedReason | None, Query(description="Of this reason only.")] = None,
    limit: Limit = DEFAULT_PAGE,
    cursor: Cursor = "",
) -> ParkedPage:
    """In the order in which the cloud took them; one of them read tells its body."""
    wanted = _filter(caller, device_id, [reason] if reason else [])
    found = await parked.page(stores, wanted, limit, cursor)
    return ParkedPage(items=[_entity(each) for each in found.messages], next=found.next)


@router.post(
    "/parked/redeliver",
    operation_id="redeliverParkedMessages",
    summary="Redeliver many parked messages",
    responses=refusals(400, 401, 403, 408, 409, 413, 415, 429, 503),
)
async def redeliver_many(
    request: Request, stores: Opener, caller: Caller, _order: Idempotent, body: ParkedSelection
) -> ParkedChanged:
    """Order what was malformed or above the quota to be delivered after all: 500 a call."""
    return await _many(request, stores, caller, body, "redeliver")


@router.post(
    "/parked/discard",
    operation_id="discardParkedMessages",
    summary="Discard many parked messages",
    responses=refusals(400, 401, 403, 408, 413, 415, 429, 503),
)
async def discard_many(
    request: Request, stores: Opener, caller: Caller, body: ParkedSelection
) -> ParkedChanged:
    """Delete parked messages for ever: 500 a call."""
    return await _many(request, stores, caller, body, "discard")


@router.get(
    "/parked/{parkedid}",
    operation_id="getParkedMessage",
    summary="Read a parked message",
    responses=refusals(400, 401, 403, 404, 429, 503),
)
async def get_parked(stores: Opener, caller: Caller, message_id: MessageId) -> ParkedMessageWhole:
    """One parked message with its properties and body."""
    return _whole(await parked.one(stores, caller.user_id, message_id))


@router.post(
    "/parked/{parkedid}/redeliver",
    operation_id="redeliverParkedMessage",
    summary="Redeliver a parked message",
    responses=refusals(400, 401, 403, 404, 409, 413, 429, 503),
)
async def redeliver_one(
    request: Request, stores: Opener, caller: Caller, _order: Idempotent, message_id: MessageId
) -> Result:
    """Have it delivered after all, whatever the quota says; that takes seconds. What is still
    malformed then stays, with the reason."""
    message = await parked.redeliver(stores, caller.user_id, message_id)
    request.state.device_id = message.device_id
    return Result(result="ordered")


@router.delete(
    "/parked/{parkedid}",
    operation_id="discardParkedMessage",
    summary="Discard a parked message",
    responses=refusals(400, 401, 403, 404, 409, 429, 503),
)
async def discard_one(
    request: Request, stores: Opener, caller: Caller, message_id: MessageId
) -> Result:
    """Delete it for ever."""
    message = await parked.discard(stores, caller.user_id, message_id)
    request.state.device_id = message.device_id
    return Result(result="discarded")


async def _many(
    request: Request,
    stores: Stores,
    caller: Caller,
    body: ParkedSelection,
    verb: Literal["redeliver", "discard"],
) -> ParkedChanged:
    wanted = _filter(caller, body.device_id or "", body.reasons)
    progress, more = await parked.change_some(stores, wanted, verb)
    if progress.done and body.device_id:
        request.state.device_id = body.device_id
    return ParkedChanged(done=progress.done, left=progress.left, why=progress.why, more=more)


def _filter(caller: Caller, device_id: str, reasons: list[ParkedReason]) -> Filter:
    device = ids.check_device_id(device_id) if device_id else ""
    return Filter(caller.user_id, device, tuple(each.value for each in reasons))


def _entity(message: documents.ParkedMessage) -> ParkedMessage:
    return ParkedMessage(
        id=message.id,
        device_id=message.device_id,
        reason=ParkedReason(message.reason),
        detail=message.detail,
        mid=message.mid,
        size=len(b64decode(message.body)),
        created_at=message.created_at,
        enqueued_at=message.enqueued_at,
        ordered_at=message.ordered_at,
    )


def _whole(message: documents.ParkedMessage) -> ParkedMessageWhole:
    body, encoding = parked.body_of(b64decode(message.body))
    return ParkedMessageWhole(
        **_entity(message).model_dump(),
        content_type=message.content_type or "",
        properties=message.properties,
        body=body,
        body_encoding=encoding,
    )
