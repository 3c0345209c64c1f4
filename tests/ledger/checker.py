"""Compares what was found with what must be, and says each difference. Pure.

It counts what it compared: a run in which messages were not looked at is a violation itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from shared.schemas.documents import Notification
from shared.schemas.messages import Level
from tests.ledger.evidence import Evidence
from tests.ledger.figures import check_figures
from tests.ledger.oracle import Expected, Verdict, expect, iso
from tests.ledger.ownership import boundaries_of, created_at
from tests.ledger.queues import check_queues
from tests.ledger.records import Key, Received, StreamEvent
from tests.ledger.violations import Violation

# A pairing whose writing a kill interrupts takes seconds, and its gateway goes on sending. With
# more such messages than this share of all the run says little.
UNSURE_SHARE = 0.1
DELIVERED_SHARE = 0.4  # fewer on queues: the run says little
# Ingest's own entries in a timeline; tests/ingest/test_ingest_oracle.py checks them.
INGESTS_OWN = {"parking_limit", "over_quota", "connected", "disconnected", "flapping"}

# An entry of a timeline: account, device, when it was stored and when the hub took it.
_Entry = tuple[str | None, str, datetime, datetime]


@dataclass
class Report:
    """What a check came to."""

    violations: list[Violation]
    outcomes: Counter[str] = field(default_factory=Counter)  # of the apps' messages
    repeats: int = 0  # events in the stream that repeat an earlier one
    resent: int = 0  # messages that a queue got again and dropped
    handed_over: int = 0  # messages of before the first pairing
    unsure: int = 0  # whose pairing was being written when the hub took them
    expected: Expected = field(default_factory=Expected)


def check(evidence: Evidence) -> Report:
    """All violations, in the order of a message's way."""
    documents = evidence.documents
    boundaries = boundaries_of(documents.gateways, evidence.changes)
    expected = expect(
        evidence.stream, documents.gateways, evidence.rules, boundaries, _seen(evidence)
    )
    violations = [Violation("unsettled", None, each) for each in evidence.unsettled]
    violations += _check_gateways(evidence, expected)
    violations += _check_stream(evidence)
    violations += check_queues(evidence.received, expected)
    violations += _check_notifications(evidence, expected)
    violations += _check_timeline(evidence, expected)
    violations += _check_parked(evidence, expected)
    violations += check_figures(documents.ledgers, expected)
    outcomes = _outcomes(evidence, expected)
    violations += _check_counts(evidence, expected, outcomes)
    repeats = sum(len(each) - 1 for each in expected.occurrences.values())
    return Report(
        violations,
        outcomes,
        repeats=repeats,
        resent=_resent(evidence.received),
        handed_over=expected.handed_over,
        unsure=expected.unsure,
        expected=expected,
    )


def _seen(evidence: Evidence) -> dict[Key, str]:
    """With which account each message was found."""
    seen = {each.key: each.user_id for each in evidence.received}
    for parked in evidence.documents.parked:
        if parked.holder != parked.device_id:
            seen[Key(parked.device_id, parked.mid)] = parked.holder
    notified = {
        (each.device_id, each.text, each.created_at): each.user_id
        for each in evidence.documents.notifications
    }
    entered = {
        (each.device_id, each.created_at, each.enqueued_at): each.user_id
        for each in evidence.documents.timeline
    }
    for event in evidence.stream:
        created = created_at(event)
        text = event.body.decode(errors="replace")
        user_id = notified.get((event.device_id, text, created)) or entered.get(
            (event.device_id, created, event.enqueued_at)
        )
        if user_id:
            seen[event.key] = user_id
    return seen


def _check_gateways(evidence: Evidence, expected: Expected) -> Iterable[Violation]:
    """From the gateway's store to the stream."""
    stored, wiped = evidence.stored(), evidence.wiped()
    for key in evidence.taken().keys() - expected.occurrences.keys():
        yield Violation("lost by the hub", key, "acknowledged, and not in the stream")
    for key in stored.keys() - expected.occurrences.keys() - wiped.keys():
        yield Violation("lost by the gateway", key, "stored, never wiped, and not in the stream")
    for key, message in stored.items():
        for event in expected.occurrences.get(key, ()):
            if sha256(event.body).hexdigest() != message.sha256:
                yield Violation("altered", key, f"another body in the stream at {_place(event)}")


def _check_stream(evidence: Evidence) -> Iterable[Violation]:
    """The stream was read without a gap, and ingest committed its last message."""
    last: dict[str, int] = {}
    telemetry: dict[str, int] = {}
    for event in evidence.stream:
        if event.sequence_number != last.get(event.partition, -1) + 1:
            yield Violation("incomplete", None, f"the stream has a gap before {_place(event)}")
        last[event.partition] = event.sequence_number
        if event.source == "Telemetry":
            telemetry[event.partition] = event.sequence_number
    positions = evidence.documents.positions
    for partition, end in telemetry.items():
        at = positions[partition].sequence_number if partition in positions else -1
        if at < end:
            text = f"partition {partition} is committed up to {at}, its last message is {end}"
            yield Violation("unsettled", None, text)


def _check_notifications(evidence: Evidence, expected: Expected) -> Iterable[Violation]:
    wanted = {
        (verdict.user_id, *_notice(verdict.event)): key
        for key, verdict in expected.verdicts.items()
        if verdict.what == "notification"
    }
    found: Counter[tuple[object, ...]] = Counter()
    warned: Counter[tuple[str, str]] = Counter()
    for each in evidence.documents.notifications:
        place = (each.user_id, *_notice_of(each))
        if place in wanted:
            found[place] += 1
        elif each.level == Level.WARNING and "uota" in each.text:
            warned[each.user_id, each.device_id] += 1
        else:
            text = f"{each.user_id} has {each.text!r} of {each.device_id}, which is not theirs"
            yield Violation("foreign notification", None, text)
    for place, key in wanted.items():
        if found[place] != 1:
            text = f"{expected.verdicts[key].user_id} has it {found[place]} times"
            yield Violation("notification", key, text)
    due = Counter((user_id, device_id) for user_id, device_id, _ in expected.warnings)
    for whose in due.keys() | warned.keys():
        if due[whose] != warned[whose]:
            text = f"{warned[whose]} warnings of the quota, not {due[whose]}: {' '.join(whose)}"
            yield Violation("warning", Key(whose[1], ""), text)


def _check_timeline(evidence: Evidence, expected: Expected) -> Iterable[Violation]:
    found: Counter[_Entry] = Counter(
        (each.user_id, each.device_id, each.created_at, each.enqueued_at)
        for each in evidence.documents.timeline
        if each.event not in INGESTS_OWN
    )
    wanted: defaultdict[_Entry, list[Key]] = defaultdict(list)
    for key, verdict in expected.verdicts.items():
        if verdict.what == "timeline":
            event = verdict.event
            entry = (verdict.user_id, event.device_id, created_at(event), event.enqueued_at)
            wanted[entry].append(key)
    for entry in {*wanted, *found}:
        keys = wanted.get(entry, [])
        if len(keys) != found[entry]:
            key = keys[0] if keys else Key(entry[1], "")
            text = f"{found[entry]} entries of {entry[3]}, it must be {len(keys)}"
            yield Violation("timeline", key, text)


def _check_parked(evidence: Evidence, expected: Expected) -> Iterable[Violation]:
    wanted = {
        key: verdict
        for key, verdict in expected.verdicts.items()
        if verdict.what.startswith("parked ")
    }
    found: Counter[Key] = Counter()
    for each in evidence.documents.parked:
        key = Key(each.device_id, each.mid)
        found[key] += 1
        verdict = wanted.get(key)
        if verdict is None:
            must = expected.verdicts[key].what if key in expected.verdicts else "not be there"
            yield Violation("parked", key, f"it is parked ({each.reason}), it must {must}")
            continue
        reason = verdict.what.split()[1].strip(":")
        holder = verdict.user_id or each.device_id
        if (each.reason, each.holder) != (reason, holder):
            text = f"parked as {each.reason} for {each.holder}, not as {reason} for {holder}"
            yield Violation("parked", key, text)
    for key, verdict in wanted.items():
        if found[key] != 1:
            yield Violation("parked", key, f"{found[key]} documents, it must be {verdict.what}")


def _outcomes(evidence: Evidence, expected: Expected) -> Counter[str]:
    """What became of each message of the apps, by what was checked of it above."""
    outcomes: Counter[str] = Counter()
    wiped = evidence.wiped()
    for key, message in evidence.stored().items():
        if message.kind == "management":
            continue
        verdict: Verdict | None = expected.verdicts.get(key)
        if verdict is not None:
            outcomes[verdict.what.partition(":")[0]] += 1
        elif key in wiped:
            outcomes["wiped"] += 1
    return outcomes


def _resent(received: Iterable[Received]) -> int:
    """A duplicate that a queue drops takes a number, which no message has then."""
    numbers: defaultdict[str, list[int]] = defaultdict(list)
    for each in received:
        numbers[each.user_id].append(each.queue_number)
    return sum(max(taken) - len(set(taken)) for taken in numbers.values())


def _check_counts(
    evidence: Evidence, expected: Expected, outcomes: Counter[str]
) -> Iterable[Violation]:
    sent = evidence.sent
    compared = sum(outcomes.values())
    if compared != sent:
        yield Violation("incomplete", None, f"{compared} messages were compared, {sent} were sent")
    if outcomes["queue"] < sent * DELIVERED_SHARE:
        text = f"only {outcomes['queue']} of {sent} messages belong on queues"
        yield Violation("incomplete", None, text)
    if expected.unsure > max(1, sent * UNSURE_SHARE):
        text = f"{expected.unsure} messages came while their pairing was being written"
        yield Violation("incomplete", None, text)


def _notice(event: StreamEvent) -> tuple[object, ...]:
    level = int(event.properties["level"])
    return event.device_id, level, event.body.decode(), created_at(event)


def _notice_of(document: Notification) -> tuple[object, ...]:
    return document.device_id, document.level, document.text, document.created_at


def _place(event: StreamEvent) -> str:
    return f"{event.partition}/{event.sequence_number} ({iso(event.enqueued_at)})"
