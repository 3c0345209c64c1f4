"""What is counted for each message in a device's ledger: mids, quota, statistics. Pure.

A ledger is never changed in place: each function returns the next one, so that what is cached
stays what is committed until the next commit succeeds.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import Enum

from shared.schemas.contract import ConnectionState
from shared.schemas.documents import Connections, DayCount, Ledger, Pairing, ParkedCount, Quota

DAYS_BACK = 7


class Charge(Enum):
    """What a message is charged to; management is charged to nothing."""

    DATA = "data"
    NOTIFICATIONS = "notifications"


def is_repetition(ledger: Ledger, number: int | None) -> bool:
    """A mid not above the highest one is a publish that was repeated after a lost PUBACK."""
    return number is not None and number <= ledger.highest_mid


def seen(ledger: Ledger, number: int | None) -> Ledger:
    """The ledger after a message with this mid, whatever became of it."""
    if number is None:
        return ledger
    return ledger.model_copy(update={"highest_mid": number})


def charged(ledger: Ledger, created: date, kind: Charge, limit: int) -> Ledger | None:
    """The ledger after charging one message, or None where its day's quota is used up.

    The charged day never goes back: a message of an earlier day counts on the day that is
    charged already.
    """
    quota = _quota(ledger, created)
    used: int = getattr(quota, kind.value)
    if used >= limit:
        return None
    if kind is Charge.DATA:
        quota = replace(quota, data=used + 1)
    else:
        quota = replace(quota, notifications=used + 1)
    return ledger.model_copy(update={"quota": quota})


def charged_day(ledger: Ledger, created: date) -> date:
    """The day that a message is charged to."""
    return _quota(ledger, created).day


def warned(ledger: Ledger, pairing: Pairing, created: date) -> tuple[Ledger, date] | None:
    """The ledger after the owner was warned that a day's quota is used up, and that day.

    None where no warning is due: this owner has one of that day, or has the gateway no more.
    """
    own = of(ledger, pairing)
    if own is None:
        return None
    quota = _quota(own, created)
    if quota.warned:
        return None
    return own.model_copy(update={"quota": replace(quota, warned=True)}), quota.day


def parked(ledger: Ledger, day: date, limit: int) -> tuple[Ledger, ParkedCount]:
    """The ledger after a message was to be parked by the device's own doing, and its count.

    At most `limit` are parked of one day, the hub's; above that a message is dropped. Like the
    charged day this one never goes back.
    """
    count = ledger.parked
    if count is None or count.day < day:
        count = ParkedCount(day)
    if count.parked < limit:
        count = replace(count, parked=count.parked + 1)
    else:
        count = replace(count, dropped=count.dropped + 1)
    return ledger.model_copy(update={"parked": count}), count


def connection_changed(
    ledger: Ledger, status: ConnectionState, day: date, owner: str
) -> tuple[Ledger, Connections] | None:
    """The ledger after an event of the hub says that a device is or is not connected.

    Changes are counted for each pairing (`Pairing.owner`; "" for none) anew.

    None where it was so before: the hub says it at least once. Telemetry alone changes nothing
    here, or what is told of a message and its connection would depend on their order.
    """
    last = ledger.connections
    if last is not None and last.status is status:
        return None
    if last is None or last.day < day or last.owner != owner:
        last = Connections(status, max(day, last.day) if last else day, owner=owner)
    changed = replace(last, status=status, changes=last.changes + 1)
    return ledger.model_copy(update={"connections": changed}), changed


def of(ledger: Ledger, pairing: Pairing) -> Ledger | None:
    """The ledger for a pairing: with a new one counts and warnings start again.

    So nobody sees a former owner's. None where it is a later pairing's already: what is late
    for a pairing that has ended is counted nowhere.
    """
    if ledger.owner == pairing.owner:
        return ledger
    if ledger.owner and _started_at(ledger.owner) > pairing.started_at:
        return None
    quota = ledger.quota and replace(ledger.quota, warned=False)
    fresh = {"owner": pairing.owner, "messages": 0, "bytes": 0, "days": {}, "quota": quota}
    return ledger.model_copy(update=fresh)


def counted(ledger: Ledger, pairing: Pairing, enqueued_at: datetime, size: int) -> Ledger:
    """The ledger after a message of `size` bytes was accepted for a pairing.

    Days are those on which the hub took the messages: the newest and seven back.
    """
    own = of(ledger, pairing)
    if own is None:
        return ledger
    day = enqueued_at.date()
    newest = max(own.days, default=day)
    newest = max(newest, day)
    oldest = newest - timedelta(days=DAYS_BACK)
    kept = {known: count for known, count in own.days.items() if known >= oldest}
    if day >= oldest:
        before = kept.get(day) or DayCount()
        kept[day] = DayCount(messages=before.messages + 1, bytes=before.bytes + size)
    update = {"messages": own.messages + 1, "bytes": own.bytes + size, "days": kept}
    return own.model_copy(update=update)


def _quota(ledger: Ledger, created: date) -> Quota:
    quota = ledger.quota
    return Quota(day=created) if quota is None or quota.day < created else quota


def _started_at(owner: str) -> datetime:
    """The start of a pairing by `Pairing.owner`, which ends with it."""
    return datetime.fromisoformat(owner.rpartition(" ")[2])
