"""The rules of a device's outbox: who may send when, and what becomes of a message. Pure.

A message is `waiting`, then `sent`, then has its end. Delivered is the last word: the gateway has
it, whatever was thought before. All that changes an outbox or its messages is one transaction
under the outbox's ETag, so whoever acts on an old view of it changes nothing (docs/adr/0012).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.api.documents.user_messages import OPEN, MessageState, Outbox, UserMessage

MAX_OPEN = 500  # for one device
HUB_HOLDS = 50  # for one device (azure-wire-facts.md, "IoT Hub, device side")
# IoT Hub keeps a message two days at most; a minute less, since its clock may be behind.
HUB_KEEPS = timedelta(days=2, minutes=-1)
# IoT Hub gathers feedback for 15 s; later than this it is taken for lost.
FEEDBACK_LATEST = timedelta(minutes=1)
CLAIM = timedelta(seconds=15)
HUB_IS_FULL = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(minutes=1)
LONGEST_REPETITION = timedelta(minutes=5)

Fields = Mapping[str, object]  # of a message, that change


@dataclass(frozen=True)
class Changed:
    """An outbox after a change, and what changes of its messages, by their ids."""

    outbox: Outbox
    fields: Mapping[str, Fields]


def may_send(outbox: Outbox, now: datetime) -> bool:
    """Whether something waits that IoT Hub may take now."""
    send_at = _send_at(outbox)
    return _can_send(outbox) and (send_at is None or send_at <= now)


def is_overdue(outbox: Outbox, now: datetime) -> bool:
    """Whether time has changed something that is not written down."""
    return outbox.look_at is not None and outbox.look_at <= now


def claimed(outbox: Outbox, claim: str, now: datetime) -> Outbox:
    """The outbox while `claim` sends; it is free again by itself."""
    return scheduled(outbox.model_copy(update={"claim": claim, "claimed_until": now + CLAIM}), now)


def released(outbox: Outbox, now: datetime) -> Outbox:
    """The outbox after the sending."""
    return scheduled(outbox.model_copy(update={"claim": "", "claimed_until": None}), now)


def scheduled(outbox: Outbox, now: datetime) -> Outbox:
    """The outbox with the time when somebody must come to it."""
    look_at = outbox.look_at if outbox.open else None
    # All came back: what waits now goes in order.
    regroup_until = outbox.regroup_until if outbox.sent else None
    outbox = outbox.model_copy(update={"look_at": look_at, "regroup_until": regroup_until})
    due: datetime | None
    if outbox.claimed_until is not None:
        due = outbox.claimed_until
    else:
        send_at = (_send_at(outbox) or now) if _can_send(outbox) else None
        due = min((each for each in (look_at, send_at) if each is not None), default=None)
    return outbox.model_copy(update={"due": due.timestamp() if due is not None else None})


def accepted(outbox: Outbox, message: UserMessage, now: datetime) -> Outbox:
    """The outbox with one more message, which has its next number."""
    return scheduled(
        outbox.model_copy(
            update={
                "next": outbox.next + 1,
                "waiting": outbox.waiting + 1,
                "look_at": _earlier(outbox.look_at, message.expires_at),
            }
        ),
        now,
    )


def handed_over(outbox: Outbox, user_id: str, paired_at: datetime, now: datetime) -> Outbox:
    """The outbox of another pairing, or of nobody (""); what is open of earlier ones is to be
    cancelled by whoever comes first."""
    return scheduled(
        outbox.model_copy(
            update={
                "user_id": user_id,
                "paired_at": paired_at,
                "look_at": now if outbox.open else None,
                "retry_at": None,
                "regroup_until": None,
                "failures": 0,
            }
        ),
        now,
    )


def regrouping(outbox: Outbox, now: datetime) -> Outbox:
    """The outbox whose messages IoT Hub is about to drop: what is new waits until feedback has
    brought those back, so that all go in order."""
    return scheduled(outbox.model_copy(update={"regroup_until": now + FEEDBACK_LATEST}), now)


def hub_until(message: UserMessage, now: datetime) -> datetime:
    """How long IoT Hub is to keep a message that it gets now."""
    return min(message.expires_at, now + HUB_KEEPS)


def given(message: UserMessage, now: datetime) -> Fields:
    """IoT Hub has the message since then."""
    return {
        "state": MessageState.SENT,
        "state_at": now,
        "reason": "",
        "attempts": message.attempts + 1,
        "sent_at": now,
        "hub_until": hub_until(message, now),
        "not_before": None,
    }


def refused(message: UserMessage, reason: str, now: datetime) -> Fields:
    """IoT Hub will never take the message."""
    return _end(MessageState.REJECTED, now, reason) | {"attempts": message.attempts + 1}


def cancelled(now: datetime) -> Fields:
    """Somebody called the message back."""
    return _end(MessageState.CANCELLED, now)


def told(message: UserMessage, status: str, now: datetime) -> Fields:
    """What feedback changes; {} where it is no news.

    The statuses are IoT Hub's ("Understand cloud-to-device messaging from an IoT hub").
    """
    if message.state is MessageState.DELIVERED:
        return {}
    if status == "Success":
        return _end(MessageState.DELIVERED, now)
    if message.state is not MessageState.SENT:
        return {}
    match status:
        case "Rejected":
            return _end(MessageState.REJECTED, now, "The gateway refused it.")
        case "DeliveryCountExceeded":
            pause = min(timedelta(seconds=10 * 2 ** min(message.attempts, 20)), LONGEST_REPETITION)
            return _again(message, now, "The gateway gave it back too often.", now + pause)
        case "Expired" | "Purged":
            return _again(message, now, "IoT Hub dropped it before the gateway took it.")
    return {}


def overdue(message: UserMessage, outbox: Outbox, now: datetime) -> Fields:
    """What time, or another pairing, changes of an open message; {} where nothing."""
    if not outbox.is_of(message.user_id, message.paired_at):
        return _end(MessageState.CANCELLED, now, "The device was unpaired.")
    if message.state is MessageState.SENT:
        if _silent_until(message) > now:
            return {}
        return _again(message, now, "IoT Hub has not told what became of it.")
    if message.withdrawn or message.expires_at <= now:
        return _again(message, now, "")
    return {}


def changed(
    outbox: Outbox, messages: Mapping[str, UserMessage], fields: Mapping[str, Fields], now: datetime
) -> Changed:
    """The outbox after some of its messages changed; they are given as they were."""
    waiting, sent, look_at = outbox.waiting, outbox.sent, outbox.look_at
    for message_id, values in fields.items():
        before = messages[message_id]
        after = _after(before, values)
        waiting += (after.state is MessageState.WAITING) - (before.state is MessageState.WAITING)
        sent += (after.state is MessageState.SENT) - (before.state is MessageState.SENT)
        if after.state in OPEN:
            look_at = _earlier(look_at, _next_look(after))
    # Counts can be too low only where messages were deleted under them; a look puts them right.
    counts = {"waiting": max(waiting, 0), "sent": max(sent, 0), "look_at": look_at}
    return Changed(scheduled(outbox.model_copy(update=counts), now), fields)


def tidied(outbox: Outbox, messages: Sequence[UserMessage], limit: int, now: datetime) -> Changed:
    """The outbox after a look at all its open messages; at most `limit` of them change."""
    news = ((each.id, overdue(each, outbox, now)) for each in messages)
    due = [(message_id, fields) for message_id, fields in news if fields]
    fields = dict(due[:limit])
    after = [_after(each, fields.get(each.id, {})) for each in messages]
    looks = [_next_look(each) for each in after if each.state in OPEN]
    values = {
        "waiting": sum(each.state is MessageState.WAITING for each in after),
        "sent": sum(each.state is MessageState.SENT for each in after),
        "look_at": now if len(due) > limit else min(looks, default=None),
    }
    return Changed(scheduled(outbox.model_copy(update=values), now), fields)


def pause_after(failures: int) -> timedelta:
    """How long to leave an IoT Hub alone that failed so often, one after the other."""
    return min(timedelta(seconds=2 ** min(failures, 10)), LONGEST_PAUSE)


def _after(message: UserMessage, fields: Fields) -> UserMessage:
    return message.model_copy(update=dict(fields))


def _can_send(outbox: Outbox) -> bool:
    return bool(outbox.user_id) and outbox.waiting > 0 and outbox.sent < HUB_HOLDS


def _send_at(outbox: Outbox) -> datetime | None:
    """When what waits may be sent; None: at once."""
    moments = (outbox.retry_at, outbox.regroup_until)
    return max((each for each in moments if each is not None), default=None)


def _again(
    message: UserMessage, now: datetime, reason: str, not_before: datetime | None = None
) -> Fields:
    """Back into the outbox, unless its time is over."""
    if message.withdrawn:
        return cancelled(now)
    if message.expires_at <= now:
        return _end(MessageState.EXPIRED, now)
    return {
        "state": MessageState.WAITING,
        "state_at": now,
        "reason": reason,
        "hub_until": None,
        "not_before": not_before,
    }


def _end(state: MessageState, now: datetime, reason: str = "") -> dict[str, object]:
    return {"state": state, "state_at": now, "reason": reason, "not_before": None}


def _next_look(message: UserMessage) -> datetime:
    return _silent_until(message) if message.state is MessageState.SENT else message.expires_at


def _silent_until(message: UserMessage) -> datetime:
    return (message.hub_until or message.expires_at) + FEEDBACK_LATEST


def _earlier(one: datetime | None, other: datetime) -> datetime:
    return other if one is None else min(one, other)
