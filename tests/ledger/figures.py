"""Checks what was counted: statistics of the present pairing, and the quota. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from shared.schemas.documents import Ledger
from tests.ledger.oracle import Count, Expected
from tests.ledger.records import Key
from tests.ledger.violations import Violation


def check_figures(ledgers: Sequence[Ledger], expected: Expected) -> Iterable[Violation]:
    """Each gateway's ledger against what must have been counted."""
    found: dict[str, Ledger] = {}
    for ledger in ledgers:
        if ledger.id in found:
            yield Violation("statistics", Key(ledger.id, ""), "it has ledgers in two partitions")
        found[ledger.id] = ledger
    for device_id in {*found, *expected.counts, *expected.charged}:
        ledger = found.get(device_id) or Ledger(id=device_id, partition="")
        yield from _check_counts(ledger, expected.counts.get(device_id, {}))
        yield from _check_quota(ledger, expected)


def _check_counts(ledger: Ledger, counts: dict[str, Count]) -> Iterable[Violation]:
    key = Key(ledger.id, "")
    latest = max(counts, key=_begun, default="")
    if ledger.owner != latest and (not latest or _later(ledger.owner, latest)):
        wanted = Count()  # of a pairing in which nothing was accepted yet
    elif ledger.owner != latest:
        yield Violation("statistics", key, f"of {ledger.owner!r}, not {latest!r}")
        return
    else:
        wanted = counts[latest] if latest else Count()
    days = {day: (each.messages, each.bytes) for day, each in ledger.days.items()}
    if (ledger.messages, ledger.bytes, days) != (wanted.messages, wanted.bytes, wanted.days):
        text = (
            f"{ledger.messages} messages of {ledger.bytes} bytes, "
            f"{wanted.messages} of {wanted.bytes} were accepted for {ledger.owner}; "
            f"by day {days}, not {wanted.days}"
        )
        yield Violation("statistics", key, text)


def _check_quota(ledger: Ledger, expected: Expected) -> Iterable[Violation]:
    quota = ledger.quota
    charged = expected.charged.get(ledger.id)
    found = (quota.day, quota.data, quota.notifications) if quota else None
    wanted = (charged.day, charged.data, charged.notification) if charged else None
    if found != wanted:
        text = f"{_quota(found)} charged, it must be {_quota(wanted)}"
        yield Violation("quota", Key(ledger.id, ""), text)


def _quota(charged: tuple[object, ...] | None) -> str:
    if charged is None:
        return "nothing"
    return f"{charged[1]} data and {charged[2]} notifications on {charged[0]}"


def _begun(owner: str) -> datetime:
    return datetime.fromisoformat(owner.rpartition(" ")[2])


def _later(owner: str, than: str) -> bool:
    return bool(owner) and _begun(owner) > _begun(than)
