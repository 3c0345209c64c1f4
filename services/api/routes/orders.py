"""Orders to a device: a user message (rest-contract.md)."""

from datetime import timedelta
from typing import Annotated

from fastapi import Query, Request, Response

from services.api.logic import user_messages
from services.api.routes.body import read_json_bytes
from services.api.routes.dependencies import Caller, DeviceId
from services.api.routes.errors import refusals
from services.api.routes.idempotency import Idempotent
from services.api.routes.location import set_location
from services.api.routes.router import customer_router
from services.api.routes.user_messages import Messages
from shared.schemas.contract import Result
from shared.schemas.messages import MAX_USER_MESSAGE_BYTES

router = customer_router("orders")

ExpiresIn = Annotated[
    int,
    Query(
        ge=1,
        le=user_messages.LONGEST_SECONDS,
        description="Seconds for which it is worth to deliver it.",
    ),
]

_ANY_JSON = {
    "requestBody": {
        "required": True,
        "description": f"Any JSON value, UTF-8, at most {MAX_USER_MESSAGE_BYTES} bytes as sent.",
        "content": {"application/json": {"schema": {}, "example": {"setpoint": 21.5}}},
    }
}


@router.post(
    "/devices/{deviceid}/sendjson",
    operation_id="sendUserMessage",
    summary="Send a user message (cloud to device)",
    responses=refusals(400, 401, 403, 404, 408, 409, 413, 415, 429, 503),
    openapi_extra=_ANY_JSON,
)
async def send_json(
    *,
    request: Request,
    response: Response,
    stores: Messages,
    caller: Caller,
    device_id: DeviceId,
    order_id: Idempotent,
    expires_in: ExpiresIn = user_messages.DEFAULT_SECONDS,
) -> Result:
    """Stored, byte for byte as sent, to be sent until the gateway has it or its time is over.

    Messages go to a gateway in the order in which they were accepted, but for one that was lost or
    expired on its way and is sent again; 500 wait for one at most.
    `Location` is where what becomes of it can be asked for.
    """
    message = await user_messages.accept(
        stores,
        user_id=caller.user_id,
        device_id=device_id,
        body=await read_json_bytes(request, MAX_USER_MESSAGE_BYTES),
        lasts=timedelta(seconds=expires_in),
        message_id=order_id,
    )
    set_location(request, response, f"/devices/{device_id}/messages/{message.id}")
    return Result(result="queued")
