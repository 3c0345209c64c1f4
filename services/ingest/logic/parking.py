"""Documents of messages that are not delivered yet: whole, so that they can be. Pure."""

import base64
from collections.abc import Mapping
from typing import Literal

from services.ingest.logic.events import Event, Message
from services.ingest.logic.plan import Outgoing
from shared.schemas.documents import ParkedMessage

DAY_SECONDS = 86_400
PARKED_SECONDS = 7 * DAY_SECONDS  # design.md, "Who owns a message"
# What was accepted is the customer's: it may take longer to mend a queue than to look at garbage.
REFUSED_SECONDS = 30 * DAY_SECONDS

Reason = Literal["malformed", "over_quota", "no_owner", "refused"]


def parked(
    event: Event,
    message: Message,
    *,
    message_id: str,
    holder: str,
    reason: Reason,
    detail: str,
    stream: str,
) -> ParkedMessage:
    """The document of a message. `holder` is an account, or the device that nobody owned."""
    return ParkedMessage(
        id=message_id,
        holder=holder,
        device_id=event.device_id,
        reason=reason,
        detail=detail,
        mid=message.mid,
        body=base64.b64encode(event.raw.body).decode(),
        content_type=_optional(event.raw.content_type),
        properties=_texts(event.raw.properties),
        annotations=_texts(event.raw.annotations),
        created_at=message.created_at,
        stream=stream,
        sequence_number=event.sequence_number,
        enqueued_at=event.enqueued_at,
        ttl=REFUSED_SECONDS if reason == "refused" else PARKED_SECONDS,
    )


def refused(outgoing: Outgoing, user_id: str, stream: str, detail: str) -> ParkedMessage:
    """The document of a message that the account's queue does not take; `detail` says why."""
    message = outgoing.event.content
    if not isinstance(message, Message):
        raise TypeError("only messages go out")
    return parked(
        outgoing.event,
        message,
        message_id=outgoing.message_id,
        holder=user_id,
        reason="refused",
        detail=detail,
        stream=stream,
    )


def _texts(named: Mapping[str | bytes, object]) -> dict[str, str]:
    return {_lenient(name): _lenient(value) for name, value in named.items() if value is not None}


def _optional(value: object) -> str | None:
    return None if value is None else _lenient(value)


def _lenient(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
