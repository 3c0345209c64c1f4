"""What is counted for each message in a device's ledger: mids, quota, statistics. Pure.

A ledger is never changed in place: each function returns the next one, so that what is cached
stays what is committed until the next commit succeeds.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta
from enum import Enum

from shared.schemas.documents import DayCount, Ledger, Pairing, Quota

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
    quota = ledger.quota
    if quota is None or quota.day < created:
        quota = Quota(day=created)
    used: int = getattr(quota, kind.value)
    if used >= limit:
        return None
    if kind is Charge.DATA:
        quota = replace(quota, data=used + 1)
    else:
        quota = replace(quota, notifications=used + 1)
    return ledger.model_copy(update={"quota": quota})


def counted(ledger: Ledger, pairing: Pairing, enqueued_at: datetime, size: int) -> Ledger:
    """The ledger after a message of `size` bytes was accepted for a pairing.

    Counts belong to one pairing: they start again when the owner changes, so that nobody sees a
    former owner's. Days are those on which the hub took the messages: the newest and seven back.
    """
    same = ledger.owner == pairing.owner
    days = ledger.days if same else {}
    day = enqueued_at.date()
    newest = max(days, default=day)
    newest = max(newest, day)
    oldest = newest - timedelta(days=DAYS_BACK)
    kept = {known: count for known, count in days.items() if known >= oldest}
    if day >= oldest:
        before = kept.get(day) or DayCount()
        kept[day] = DayCount(messages=before.messages + 1, bytes=before.bytes + size)
    return ledger.model_copy(
        update={
            "owner": pairing.owner,
            "messages": (ledger.messages if same else 0) + 1,
            "bytes": (ledger.bytes if same else 0) + size,
            "days": kept,
        }
    )
