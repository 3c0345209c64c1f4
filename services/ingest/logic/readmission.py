"""The way back: from the document of a parked message to its effects. Pure.

What a message says is read again by the rules of today; whose it is comes from the caller, and
neither mid nor quota is checked: both were when it was parked.
"""

import base64
from collections.abc import Mapping, Sequence

from services.ingest.logic import effects
from services.ingest.logic.accounting import counted
from services.ingest.logic.decode import NOT_UTF8, number, telemetry
from services.ingest.logic.effects import Delivery
from services.ingest.logic.events import (
    Data,
    Event,
    Malformed,
    ManagementEvent,
    Message,
    Notice,
    RawEvent,
)
from services.ingest.logic.ownership import first_owner, pairing_at
from services.ingest.logic.plan import Known, Outgoing, Plan
from shared.schemas.documents import Gateway, Ledger, Pairing, ParkedMessage


def outgoing(parked: ParkedMessage, device_name: str) -> Outgoing:
    """The message of a `refused` document, for its account's queue.

    It was accepted as data once, so it is data, whatever the rules of today say.
    """
    raw = _raw(parked)
    data = Data(raw.body, parked.content_type, parked.properties.get("user_route"))
    event, message = _event(parked, raw, data)
    return effects.outgoing(Delivery(event, message, parked.id, parked.holder, device_name), data)


def hand_over(
    parked: Sequence[ParkedMessage], pairing: Pairing, ledger: Ledger, known: Known
) -> Plan:
    """The effects of delivering one gateway's `no_owner` messages to its first owner, in order.

    They were charged when they were parked. Those up to `ledger.handed_over` have no effect any
    more; the ledger of the plan says how far this one goes. The caller leaves out what was parked
    above the committed position, since that is decided again, and knows whether more is
    `waiting`.
    """
    plan = Plan()
    for each in sorted(parked, key=lambda each: each.sequence_number):
        if each.sequence_number <= ledger.handed_over:
            continue
        ledger = ledger.model_copy(update={"handed_over": each.sequence_number})
        event, message = _read(each)
        kind = type(message.content).__name__
        if isinstance(message.content, Malformed):
            changed = {
                "holder": pairing.user_id,
                "reason": "malformed",
                "detail": message.content.reason,
            }
            plan.parked.append(each.model_copy(update=changed))
            plan.count(kind, "parked")
            continue
        ledger = _counted(ledger, pairing, event, message)
        name = known.device_name(each.device_id, pairing)
        effects.deliver(plan, Delivery(event, message, each.id, pairing.user_id, name))
        plan.count(kind, "handed_over")
    plan.ledgers[ledger.id] = ledger
    return plan


def redeliver(
    order: ParkedMessage, pairing_owner: str, ledger: Ledger, known: Known
) -> Plan | Malformed:
    """The effects of delivering a message to an account because its operator ordered it.

    `Malformed` where it still breaks a rule: it stays parked then. It is counted in statistics
    for the pairing of `pairing_owner` (a user id) in which the hub took it, or of the first
    owner where it was taken before; nowhere once the gateway has changed hands.
    """
    event, message = _read(order)
    if isinstance(message.content, Malformed):
        return message.content
    plan = Plan()
    pairing = _pairing(known.gateways.get(order.device_id), order, pairing_owner)
    if pairing is not None:
        ledger = _counted(ledger, pairing, event, message)
    name = known.device_name(order.device_id, pairing) if pairing else ""
    effects.deliver(plan, Delivery(event, message, order.id, pairing_owner, name))
    plan.ledgers[ledger.id] = ledger
    plan.count(type(message.content).__name__, "redelivered")
    return plan


def _counted(ledger: Ledger, pairing: Pairing, event: Event, message: Message) -> Ledger:
    if isinstance(message.content, ManagementEvent):
        return ledger
    return counted(ledger, pairing, event.enqueued_at, len(event.raw.body))


def _pairing(gateway: Gateway | None, order: ParkedMessage, user_id: str) -> Pairing | None:
    """The account's pairing that a message belongs to."""
    moment = order.enqueued_at
    pairing = pairing_at(gateway, moment) or first_owner(gateway, moment)
    return pairing if pairing and pairing.user_id == user_id else None


def _read(parked: ParkedMessage) -> tuple[Event, Message]:
    """The event of a parked message. Never raises: what cannot be read is `Malformed`."""
    raw = _raw(parked)
    if parked.reason == "malformed" and NOT_UTF8 in parked.detail:
        # As text it became readable, but it is not what the gateway wrote.
        return _event(parked, raw, Malformed(NOT_UTF8))
    return _event(parked, raw, telemetry(raw))


def _event(
    parked: ParkedMessage, raw: RawEvent, content: Data | Notice | ManagementEvent | Malformed
) -> tuple[Event, Message]:
    message = Message(parked.mid, number(parked.mid), parked.created_at, None, content)
    return Event(raw, parked.device_id, parked.enqueued_at, message), message


def _raw(parked: ParkedMessage) -> RawEvent:
    return RawEvent(
        sequence_number=parked.sequence_number,
        offset="",
        enqueued_at=parked.enqueued_at,
        body=base64.b64decode(parked.body),
        annotations=_bytes(parked.annotations),
        properties=_bytes(parked.properties),
        message_id=parked.mid or None,
        content_type=parked.content_type,
    )


def _bytes(texts: Mapping[str, str]) -> dict[str | bytes, object]:
    """As they came off the wire."""
    return {name.encode(): text.encode() for name, text in texts.items()}
