"""User messages: from an account to its gateway's app, by way of the outbox.

What is accepted is stored first. Then it is sent, and sent again, until the gateway has it or its
time is over (services/api/logic/sender.py).
"""

import asyncio
import json
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.api.documents.user_messages import (
    DAY_SECONDS,
    OPEN,
    MessageState,
    Outbox,
    UserMessage,
)
from services.api.logic import outbox as rules
from services.api.logic.devices import get_device, no_such_device
from services.api.logic.intervals import current
from services.api.logic.outbox_owner import own
from services.api.logic.sender import Sender
from services.api.store.devices import Devices
from services.api.store.gateways import Gateways
from services.api.store.user_messages import Changes, Held, Page, UserMessages
from shared.errors import Conflict, InvalidRequest, NotFound, TooLarge, TooMany, Unavailable
from shared.schemas.messages import MAX_USER_MESSAGE_BYTES

LONGEST_SECONDS = 7 * DAY_SECONDS
DEFAULT_SECONDS = 2 * DAY_SECONDS
FULL_SECONDS = 60  # until it is worth to try again
ATTEMPTS = 20  # under an ETag, before giving up
WAIT_SECONDS = 0.1  # for somebody else's claim


@dataclass(frozen=True)
class Stores:
    """What user messages are read from and written to."""

    devices: Devices
    gateways: Gateways
    sender: Sender

    @property
    def messages(self) -> UserMessages:
        """The sender's own."""
        return self.sender.messages


def check_body(body: bytes) -> str:
    """Any JSON value (RFC 8259) of 4096 bytes at most. Raises TooLarge, InvalidRequest."""
    if len(body) > MAX_USER_MESSAGE_BYTES:
        raise TooLarge(f"A user message is {MAX_USER_MESSAGE_BYTES} bytes at most; send less.")
    try:
        text = body.decode()
        json.loads(text, parse_constant=_no_constant)
    except RecursionError:
        raise InvalidRequest("The JSON value is nested too deeply.") from None
    except UnicodeDecodeError:
        raise InvalidRequest("The body is not UTF-8.") from None
    except ValueError as error:
        raise InvalidRequest(f"The body is not a JSON value: {error}.") from None
    return text


async def accept(
    stores: Stores,
    *,
    user_id: str,
    device_id: str,
    body: bytes,
    lasts: timedelta = timedelta(seconds=DEFAULT_SECONDS),
    message_id: str = "",
) -> UserMessage:
    """Store a message for a gateway, byte for byte, to be sent at once and until `lasts` is over.

    Under a `message_id` that the account has used before, that message is answered. Raises
    NotFound, TooMany (500 are open for the device), Unavailable and what `check_body` raises.
    """
    text = check_body(body)
    sender = stores.sender
    paired_at = await _pairing(stores, user_id, device_id)
    now = sender.clock()
    message = UserMessage(
        id=message_id or str(uuid.uuid4()),
        device_id=device_id,
        user_id=user_id,
        paired_at=paired_at,
        number=0,
        body=text,
        size=len(body),
        state_at=now,
        created_at=now,
        expires_at=now + lasts,
    )
    for _ in range(ATTEMPTS):
        async with sender.lock(device_id):
            held = await stores.messages.outbox(device_id) or _new_outbox(message)
            mine = held.outbox.is_of(user_id, paired_at)
            if mine and (stored := await _store(sender, held, message)) is not None:
                return stored
        if not mine:
            if held.outbox.paired_at >= paired_at:
                raise no_such_device()  # unpaired since it was looked up
            await own(stores.messages, device_id, user_id, paired_at, sender.clock)
        await asyncio.sleep(random.uniform(0, 0.02))  # noqa: S311  others write too
    raise Unavailable("Others write to this device at the same time; try again.")


async def list_messages(
    stores: Stores,
    user_id: str,
    device_id: str,
    states: Sequence[MessageState] = (),
    *,
    limit: int,
    cursor: str = "",
) -> Page:
    """An account's messages to one of its devices, newest first. Raises NotFound."""
    await get_device(stores.devices, stores.gateways, user_id, device_id)
    return await stores.messages.page(device_id, user_id, states, limit=limit, cursor=cursor)


async def get_message(stores: Stores, user_id: str, device_id: str, message_id: str) -> UserMessage:
    """Raises NotFound."""
    await get_device(stores.devices, stores.gateways, user_id, device_id)
    message = await stores.messages.get(device_id, message_id)
    if message is None or message.user_id != user_id:
        raise NotFound("This device has no message of this id; GET .../messages lists them.")
    return message


async def cancel(stores: Stores, user_id: str, device_id: str, message_id: str) -> UserMessage:
    """Call a message back, also from IoT Hub; calling again completes what was interrupted.

    IoT Hub can only drop all that it has for a device: the others go there again, in their
    order. Raises NotFound, Conflict where it has found its end already, and Unavailable.
    """
    purged = False
    deadline = asyncio.get_running_loop().time() + 2 * rules.CLAIM.total_seconds()
    while asyncio.get_running_loop().time() < deadline:
        message = await get_message(stores, user_id, device_id, message_id)
        if message.state is MessageState.CANCELLED:
            return message
        if message.state not in OPEN:
            raise Conflict(f"The message is {message.state} already and cannot be called back.")
        if message.withdrawn and not purged:
            # Before it is called cancelled: who is interrupted here finds it open still.
            await stores.sender.purge(device_id)
            purged = True
        if message.state is MessageState.WAITING or purged:
            done = await _change(stores, message, rules.cancelled(stores.sender.clock()))
        else:
            done = await _change(stores, message, {"withdrawn": True}, regroup=True)
        if not done:
            await asyncio.sleep(WAIT_SECONDS)
    raise Unavailable("The message is being sent right now; try again in a few seconds.")


async def _store(sender: Sender, held: Held, message: UserMessage) -> UserMessage | None:
    """The message as it is stored, and on its way; None where the outbox has changed."""
    if held.outbox.open >= rules.MAX_OPEN:
        if (there := await _existing(sender, message)) is not None:
            return there
        raise TooMany(
            f"{rules.MAX_OPEN} messages wait for this device already; try again when it is "
            "online, or cancel some.",
            retry_after=FULL_SECONDS,
        )
    now = sender.clock()
    made = message.model_copy(update={"number": held.outbox.next})
    outbox, claim = rules.accepted(held.outbox, made, now), ""
    if not outbox.is_claimed(now) and rules.may_send(outbox, now):
        claim = sender.new_claim()
    if claim:
        outbox = rules.claimed(outbox, claim, now)
    written = await sender.messages.write(held, outbox, Changes(made=made))
    if written is not None:
        if claim:
            sender.taken(written, [made] if outbox.waiting == 1 else ())
        return made
    return await _existing(sender, message)


async def _existing(sender: Sender, message: UserMessage) -> UserMessage | None:
    """The message of an earlier attempt at the same order."""
    there = await sender.messages.get(message.device_id, message.id)
    return there if there is not None and there.user_id == message.user_id else None


async def _change(
    stores: Stores, message: UserMessage, fields: rules.Fields, *, regroup: bool = False
) -> bool:
    """Whether the message changed; not while somebody sends, nor where it is another by now."""
    sender = stores.sender
    async with sender.lock(message.device_id):
        held = await sender.messages.outbox(message.device_id)
        now = sender.clock()
        if held is None or held.outbox.is_claimed(now):
            return False
        there = await sender.messages.get(message.device_id, message.id)
        if there != message:
            return False
        outbox = rules.regrouping(held.outbox, now) if regroup else held.outbox
        changed = rules.changed(outbox, {message.id: message}, {message.id: fields}, now)
        changes = Changes(fields=changed.fields)
        return await sender.messages.write(held, changed.outbox, changes) is not None


def _new_outbox(message: UserMessage) -> Held:
    """A device's first, yet to be made."""
    outbox = Outbox(
        device_id=message.device_id, user_id=message.user_id, paired_at=message.paired_at
    )
    return Held(outbox, "")


async def _pairing(stores: Stores, user_id: str, device_id: str) -> datetime:
    """When the pairing in force began.

    The account's view may outlive an unpairing that was interrupted; the inventory is the truth
    about who may order something of a gateway.
    """
    document, gateway = await asyncio.gather(
        stores.devices.get(user_id, device_id), stores.gateways.get(device_id)
    )
    pairing = current(gateway[0]) if gateway else None
    if document is None or pairing is None or pairing.user_id != user_id:
        raise no_such_device()
    return pairing.started_at


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
