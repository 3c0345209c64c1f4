"""Decides what becomes of each event of a run: to a queue, a document, or nowhere. Pure.

The outcome depends on the events, the ledgers and who owns what, and on nothing else, so that a
replay after a crash decides the same again.
"""

from collections.abc import Mapping, Sequence

from services.ingest.logic import accounting, parking
from services.ingest.logic.accounting import Charge
from services.ingest.logic.effects import (
    UNITS,
    Delivery,
    connection,
    deliver,
    flapping,
    message_id,
    over_quota,
    parking_limit,
    quota_warning,
)
from services.ingest.logic.events import (
    ConnectionChange,
    Data,
    Event,
    Ignored,
    LifecycleChange,
    Malformed,
    ManagementEvent,
    Message,
)
from services.ingest.logic.ownership import Nobody, first_owner, owner, pairing_at, was_paired
from services.ingest.logic.plan import Known, Limits, Plan
from services.ingest.logic.state import StateChange, observe
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import Ledger, Pairing


def decide(
    run: Sequence[Event], stream: str, ledgers: Mapping[str, Ledger], known: Known, limits: Limits
) -> Plan:
    """The effects of a run. `stream` is "{event hub}/{partition}"; ledgers by device_id."""
    admission = _Admission(stream, ledgers, known, limits)
    for event in run:
        admission.admit(event)
    admission.plan.states = {
        key: change for key, change in admission.plan.states.items() if change.fields
    }
    return admission.plan


class _Admission:
    def __init__(
        self, stream: str, ledgers: Mapping[str, Ledger], known: Known, limits: Limits
    ) -> None:
        self.plan = Plan()
        self._stream = stream
        self._ledgers = ledgers
        self._known = known
        self._limits = limits

    def admit(self, event: Event) -> None:
        content = event.content
        if isinstance(content, Ignored):
            self.plan.count("ignored", content.reason)
            return
        if not isinstance(content, Message):
            self._observe(event)
            self._connection(event)
            self.plan.count(type(content).__name__, "observed")
            return
        kind = type(content.content).__name__
        ledger = self._ledger(event.device_id)
        if accounting.is_repetition(ledger, content.number):
            self.plan.count(kind, "duplicate")
            return
        self._observe(event)
        self._keep(accounting.seen(ledger, content.number))
        self.plan.count(kind, self._outcome(event, content))

    def _outcome(self, event: Event, message: Message) -> str:
        """Plans the effects of a new message; returns what became of it."""
        pairing = owner(
            self._known.gateways.get(event.device_id),
            enqueued_at=event.enqueued_at,
            created_at=message.created_at,
            claimed_at=message.claimed_at,
        )
        if pairing is Nobody.NOT_THEIRS:
            return "unowned"
        whose = None if isinstance(pairing, Nobody) else pairing
        if isinstance(message.content, Malformed):
            return self._park_some(event, message, whose, "malformed", message.content.reason)
        if isinstance(message.content, ManagementEvent):
            if whose is None:
                return "unowned"
            deliver(self.plan, self._delivery(event, message, whose))
            return "accepted"
        return self._within_quota(event, message, whose)

    def _within_quota(self, event: Event, message: Message, pairing: Pairing | None) -> str:
        """Data or a notification: its owner's, or what nobody has paired, for the first owner."""
        kind, limit = (
            (Charge.DATA, self._limits.data)
            if isinstance(message.content, Data)
            else (Charge.NOTIFICATIONS, self._limits.notifications)
        )
        ledger = self._ledger(event.device_id)
        charged = accounting.charged(ledger, message.created_at.date(), kind, limit)
        if charged is None:
            if pairing is not None:
                self._warn(event, message, pairing, kind, limit)
            day = accounting.charged_day(ledger, message.created_at.date())
            detail = f"more than {limit} {UNITS[kind]} of {day} UTC"
            return self._park_some(event, message, pairing, "over_quota", detail)
        self._keep(charged)
        if pairing is None:
            return self._for_the_first_owner(event, message, charged)
        self._accept(event, message, charged, pairing)
        return "accepted"

    def _for_the_first_owner(self, event: Event, message: Message, ledger: Ledger) -> str:
        """The hub took the message before anybody had paired the gateway.

        Somebody may have since, and newer messages may follow in this run: then it is delivered
        at once, in order, unless earlier ones wait still.
        """
        first = first_owner(self._known.gateways.get(event.device_id), event.enqueued_at)
        if first is not None and not ledger.waiting:
            moved = ledger.model_copy(update={"handed_over": event.sequence_number})
            self._accept(event, message, moved, first)
            self.plan.at_once.add(event.device_id)
            return "handed_over"
        self._keep(ledger.model_copy(update={"waiting": True}))
        self._park(event, message, None, "no_owner", "no account has paired this gateway yet")
        return "parked"

    def _accept(self, event: Event, message: Message, ledger: Ledger, pairing: Pairing) -> None:
        self._keep(accounting.counted(ledger, pairing, event.enqueued_at, len(event.raw.body)))
        deliver(self.plan, self._delivery(event, message, pairing))

    def _warn(
        self, event: Event, message: Message, pairing: Pairing, kind: Charge, limit: int
    ) -> None:
        """Tell the owner, once for each charged day."""
        ledger = self._ledger(event.device_id)
        due = accounting.warned(ledger, pairing, message.created_at.date())
        if due is None:
            return
        ledger, day = due
        self._keep(ledger)
        delivery = self._delivery(event, message, pairing)
        self.plan.notifications.append(quota_warning(delivery, kind, limit, day))
        self.plan.timeline.append(over_quota(delivery, kind, limit, day))

    def _park_some(
        self,
        event: Event,
        message: Message,
        pairing: Pairing | None,
        reason: parking.Reason,
        detail: str,
    ) -> str:
        """Park what is the device's own doing, up to the day's cap: garbage fills nothing."""
        limit = self._limits.parked
        ledger = self._ledger(event.device_id)
        ledger, count = accounting.parked(ledger, event.enqueued_at.date(), limit)
        self._keep(ledger)
        if not count.dropped:
            self._park(event, message, pairing, reason, detail)
            return "parked" if reason == "malformed" else reason
        self.plan.dropped[reason] += 1
        if count.dropped == 1:
            self.plan.limited.add(event.device_id)
            if pairing is not None:
                delivery = self._delivery(event, message, pairing)
                self.plan.timeline.append(parking_limit(delivery, limit, count.day))
        return "dropped"

    def _park(
        self,
        event: Event,
        message: Message,
        pairing: Pairing | None,
        reason: parking.Reason,
        detail: str,
    ) -> None:
        self.plan.parked.append(
            parking.parked(
                event,
                message,
                message_id=message_id(event, message, self._stream),
                holder=pairing.user_id if pairing else event.device_id,
                reason=reason,
                detail=detail,
                stream=self._stream,
            )
        )

    def _delivery(self, event: Event, message: Message, pairing: Pairing) -> Delivery:
        return Delivery(
            event,
            message,
            message_id(event, message, self._stream),
            pairing.user_id,
            self._known.device_name(event.device_id, pairing),
        )

    def _observe(self, event: Event) -> None:
        """Fold the event into the state of the device, for the owner of that moment."""
        pairing = pairing_at(self._known.gateways.get(event.device_id), event.enqueued_at)
        if pairing is None:
            return
        key = (pairing.user_id, event.device_id)
        state = self._known.devices.get(key)
        if state is None:
            return
        change = self.plan.states.setdefault(key, StateChange(*key, self._stream))
        observe(change, state, event, stat_device_id(self._stream, event.device_id))

    def _connection(self, event: Event) -> None:
        """Tell the owner of that moment where the connection changed, some times a day.

        The ledger says what it was: the device's own document may be newer than a replay.
        """
        match event.content:
            case ConnectionChange(status):
                detail = ""
            case LifecycleChange(deleted=True):
                status, detail = ConnectionState.DISCONNECTED, "IoT Hub no longer knows the gateway"
            case _:
                return
        gateway = self._known.gateways.get(event.device_id)
        if not was_paired(gateway, event.enqueued_at):
            return
        ledger = self._ledger(event.device_id)
        pairing = pairing_at(gateway, event.enqueued_at)
        changed = accounting.connection_changed(
            ledger, status, event.enqueued_at.date(), pairing.owner if pairing else ""
        )
        if changed is None:
            return
        ledger, count = changed
        self._keep(ledger)
        limit = self._limits.connections
        if pairing is None or count.changes > limit + 1:
            return
        self.plan.timeline.append(
            connection(event, pairing.user_id, self._stream, status, detail)
            if count.changes <= limit
            else flapping(event, pairing, limit, count.day)
        )

    def _ledger(self, device_id: str) -> Ledger:
        ledger = self.plan.ledgers.get(device_id) or self._ledgers.get(device_id)
        return ledger or Ledger(id=device_id, partition=self._stream)

    def _keep(self, ledger: Ledger) -> None:
        self.plan.ledgers[ledger.id] = ledger


def stat_device_id(stream: str, device_id: str) -> str:
    """Says where a device's ledger is: "{event hub}:{partition}:{device_id}"."""
    event_hub, _, partition = stream.rpartition("/")
    return f"{event_hub}:{partition}:{device_id}"
