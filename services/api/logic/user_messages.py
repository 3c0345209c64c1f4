"""User messages: from an account to its gateway's app."""

import asyncio
import json
import uuid
from datetime import UTC, datetime, timedelta

from services.api.logic.devices import no_such_device
from services.api.logic.intervals import owner_of
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from shared.errors import Conflict, InvalidRequest, NotFound, TooLarge
from shared.iothub import IotHub
from shared.schemas.messages import MAX_USER_MESSAGE_BYTES

# IoT Hub keeps a message two days at most; a minute less, since its clock may be behind.
KEPT = timedelta(days=2, minutes=-1)


def check_body(body: bytes) -> None:
    """Any JSON value (RFC 8259) of 4096 bytes at most. Raises TooLarge, InvalidRequest."""
    if len(body) > MAX_USER_MESSAGE_BYTES:
        raise TooLarge(f"A user message is {MAX_USER_MESSAGE_BYTES} bytes at most; send less.")
    try:
        json.loads(body.decode(), parse_constant=_no_constant)
    except RecursionError:
        raise InvalidRequest("The JSON value is nested too deeply.") from None
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None
    except ValueError as error:
        raise InvalidRequest(f"The body is not a JSON value: {error}.") from None


async def send(
    devices: Devices,
    gateways: Gateways,
    hub: IotHub,
    *,
    user_id: str,
    device_id: str,
    body: bytes,
) -> str:
    """Queue a message for a gateway, byte for byte; returns its message id.

    Raises NotFound, Conflict (the hub lost the gateway's identity), TooMany, Unavailable and
    what `check_body` raises.
    """
    check_body(body)
    # The account's view may outlive an unpairing that was interrupted; the inventory is the
    # truth about who may order something of a gateway.
    document, gateway = await asyncio.gather(
        devices.get(user_id, device_id), gateways.get(device_id)
    )
    if document is None or gateway is None or owner_of(gateway[0]) != user_id:
        raise no_such_device()
    message_id = str(uuid.uuid4())
    try:
        await hub.send_message(device_id, body, message_id, datetime.now(UTC) + KEPT)
    except NotFound:
        raise Conflict(
            "IoT Hub no longer knows this gateway; ask the platform's operator to register it."
        ) from None
    return message_id


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
