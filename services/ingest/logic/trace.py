"""Log lines by which a message is followed; its id on the queue is the correlation id."""

import logging
from collections.abc import Iterable

from services.ingest.logic.effects import DEVICE_ID
from services.ingest.logic.plan import Outgoing
from shared.logs import correlation_id
from shared.schemas.documents import ParkedMessage

log = logging.getLogger(__name__)


def forwarded(messages: Iterable[Outgoing], user_id: str) -> None:
    """The account's queue took messages."""
    _outgoing("message forwarded", messages, user_id)


def held_back(messages: Iterable[Outgoing], user_id: str) -> None:
    """Messages are parked since the account's queue does not take them."""
    _outgoing("message held back", messages, user_id)


def parked(message: ParkedMessage) -> None:
    """A message is parked for another reason."""
    token = correlation_id.set(message.id)
    log.info(
        "message parked",
        extra={
            "device_id": message.device_id,
            "mid": message.mid,
            "reason": message.reason,
            "detail": message.detail,
        },
    )
    correlation_id.reset(token)


def _outgoing(what: str, messages: Iterable[Outgoing], user_id: str) -> None:
    if not log.isEnabledFor(logging.DEBUG):
        return
    for message in messages:
        token = correlation_id.set(message.message_id)
        log.debug(
            what,
            extra={
                "device_id": message.properties[DEVICE_ID],
                "mid": message.properties.get("mid", ""),
                "user_id": user_id,
            },
        )
        correlation_id.reset(token)
