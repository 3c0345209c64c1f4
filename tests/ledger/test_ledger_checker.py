"""The checker finds each kind of violation in records that are made up, and none in clean ones."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from shared.schemas.documents import DayCount, Quota
from tests.ledger.checker import check
from tests.ledger.evidence import Evidence
from tests.ledger.made import (
    ANN,
    BEN,
    DEVICE,
    NOON,
    OTHERS,
    Sent,
    clean,
    gateway,
    notification,
    pairing,
    parked,
    received,
)
from tests.ledger.records import Done, Key, PairingChange, Taken, Wiped
from tests.ledger.trace import trace

ONE, TWO = Key(DEVICE, "2"), Key(DEVICE, "3")


def test_clean_records_give_no_violation() -> None:
    report = check(clean())
    assert report.violations == []
    assert report.outcomes == {
        "queue": 4,
        "notification": 1,
        "parked malformed": 1,
        "parked over_quota": 1,
    }
    assert report.repeats == 1
    assert report.resent == 1


def lose(it: Evidence) -> None:
    it.received = it.received[1:]


def double(it: Evidence) -> None:
    it.received = [*it.received, replace(it.received[0], queue_number=9)]


def swap(it: Evidence) -> None:
    first, second, *rest = it.received
    it.received = [replace(first, queue_number=2), replace(second, queue_number=1), *rest]


def give_to_others(it: Evidence) -> None:
    it.received = [*it.received, replace(it.received[0], user_id=BEN, queue_number=9)]


def give_what_is_nobodys(it: Evidence) -> None:
    it.documents.gateways[DEVICE] = gateway(DEVICE, pairing(ANN, until=2.5))


def give_what_was_stored_before(it: Evidence) -> None:
    """Ann had it, Ben has it since; what the gateway stored for Ann reached Ben."""
    it.documents.gateways[DEVICE] = gateway(DEVICE, pairing(ANN, until=0.5), pairing(BEN, 2.5))
    it.stream = [
        replace(each, enqueued_at=each.enqueued_at + timedelta(seconds=2))
        if each.key == ONE
        else each
        for each in it.stream
    ]
    it.received = [replace(each, user_id=BEN) for each in it.received]


def deliver_what_was_refused(it: Evidence) -> None:
    it.received = [*it.received, received(Sent(7, 7, b"too much"), ANN, 9)]


def alter_the_body(it: Evidence) -> None:
    it.received = [replace(it.received[0], body=b"won"), *it.received[1:]]


def add_a_property(it: Evidence) -> None:
    properties = {**it.received[0].properties, "secret": "1"}
    it.received = [replace(it.received[0], properties=properties), *it.received[1:]]


def share_a_message_id(it: Evidence) -> None:
    it.received = [replace(each, message_id="same") for each in it.received]


def lose_in_the_hub(it: Evidence) -> None:
    it.fleet = [*it.fleet, Taken(DEVICE, 99, NOON.timestamp())]


def lose_in_the_gateway(it: Evidence) -> None:
    _drop_from_the_stream(it, Key(DEVICE, "7"))
    it.fleet = [each for each in it.fleet if not isinstance(each, Taken)]
    it.documents.parked = it.documents.parked[:1]
    it.documents.notifications = it.documents.notifications[:1]


def alter_in_the_hub(it: Evidence) -> None:
    it.stream = [replace(each, body=b"won") if each.key == ONE else each for each in it.stream]


def count_twice(it: Evidence) -> None:
    ledger = it.documents.ledgers[0]
    it.documents.ledgers[0] = ledger.model_copy(update={"messages": ledger.messages + 1})


def count_on_another_day(it: Evidence) -> None:
    ledger = it.documents.ledgers[0]
    day = date(2026, 5, 3)
    days = {day: DayCount(ledger.messages, ledger.bytes)}
    it.documents.ledgers[0] = ledger.model_copy(update={"days": days})


def count_for_the_former_owner(it: Evidence) -> None:
    owner = pairing(BEN, -3600).owner
    it.documents.ledgers[0] = it.documents.ledgers[0].model_copy(update={"owner": owner})


def count_nothing(it: Evidence) -> None:
    it.documents.ledgers = it.documents.ledgers[1:]


def keep_two_ledgers(it: Evidence) -> None:
    it.documents.ledgers = [*it.documents.ledgers, it.documents.ledgers[0]]


def charge_too_much(it: Evidence) -> None:
    quota = Quota(NOON.date(), 2, 1)
    it.documents.ledgers[0] = it.documents.ledgers[0].model_copy(update={"quota": quota})


def notify_nobody(it: Evidence) -> None:
    it.documents.notifications = it.documents.notifications[1:]


def notify_twice(it: Evidence) -> None:
    it.documents.notifications = [*it.documents.notifications, it.documents.notifications[0]]


def notify_others(it: Evidence) -> None:
    strange = notification(NOON, BEN, "hot")
    it.documents.notifications = [*it.documents.notifications, strange]


def warn_nobody(it: Evidence) -> None:
    it.documents.notifications = it.documents.notifications[:1]


def warn_twice(it: Evidence) -> None:
    it.documents.notifications = [*it.documents.notifications, it.documents.notifications[1]]


def park_nothing(it: Evidence) -> None:
    it.documents.parked = it.documents.parked[1:]


def park_for_another_reason(it: Evidence) -> None:
    it.documents.parked[0] = it.documents.parked[0].model_copy(update={"reason": "no_owner"})


def park_for_others(it: Evidence) -> None:
    it.documents.parked[0] = it.documents.parked[0].model_copy(update={"holder": BEN})


def park_what_is_delivered(it: Evidence) -> None:
    it.documents.parked = [*it.documents.parked, parked(Sent(2, 2, b"one"), ANN, "refused")]


def forget_the_timeline(it: Evidence) -> None:
    it.documents.timeline = []


def stop_before_the_end(it: Evidence) -> None:
    position = it.documents.positions["0"]
    it.documents.positions["0"] = position.model_copy(update={"sequence_number": 5})


def leave_something_under_way(it: Evidence) -> None:
    it.unsettled = ["partition 0 holds messages of ann back"]


def skip_an_event(it: Evidence) -> None:
    it.stream = [each for each in it.stream if each.sequence_number != 4]


def compare_too_few(it: Evidence) -> None:
    it.sent = 8


def send_nothing_of_worth(it: Evidence) -> None:
    it.documents.gateways = {each: gateway(each) for each in (DEVICE, OTHERS)}


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (lose, "lost"),
        (double, "doubled"),
        (swap, "disorder"),
        (give_to_others, "foreign message"),
        (give_what_is_nobodys, "foreign message"),
        (give_what_was_stored_before, "foreign message"),
        (deliver_what_was_refused, "foreign message"),
        (alter_the_body, "altered"),
        (add_a_property, "altered"),
        (share_a_message_id, "message id"),
        (lose_in_the_hub, "lost by the hub"),
        (lose_in_the_gateway, "lost by the gateway"),
        (alter_in_the_hub, "altered"),
        (count_twice, "statistics"),
        (count_on_another_day, "statistics"),
        (count_for_the_former_owner, "statistics"),
        (count_nothing, "statistics"),
        (keep_two_ledgers, "statistics"),
        (charge_too_much, "quota"),
        (notify_nobody, "notification"),
        (notify_twice, "notification"),
        (notify_others, "foreign notification"),
        (warn_nobody, "warning"),
        (warn_twice, "warning"),
        (park_nothing, "parked"),
        (park_for_another_reason, "parked"),
        (park_for_others, "parked"),
        (park_what_is_delivered, "parked"),
        (forget_the_timeline, "timeline"),
        (stop_before_the_end, "unsettled"),
        (leave_something_under_way, "unsettled"),
        (skip_an_event, "incomplete"),
        (compare_too_few, "incomplete"),
        (send_nothing_of_worth, "incomplete"),
    ],
)
def test_each_kind_of_violation_is_found(damage: Callable[[Evidence], None], kind: str) -> None:
    evidence = clean()
    damage(evidence)
    assert kind in {each.kind for each in check(evidence).violations}


def test_what_a_gateway_wiped_need_not_arrive() -> None:
    evidence = clean()
    lose_in_the_gateway(evidence)
    evidence.fleet = [*evidence.fleet, Wiped(DEVICE, 7, NOON.timestamp())]
    report = check(evidence)
    assert report.violations == []
    assert report.outcomes["wiped"] == 1


def test_only_while_a_pairing_is_written_may_its_messages_go_either_way() -> None:
    """Ann's pairing ended at 2.5 s; the message of 3 s was delivered to her all the same."""
    ended = NOON.timestamp() + 2.5
    for written, violations in ((3.2, False), (2.6, True)):
        evidence = clean()
        _keep_only(evidence, ONE, TWO)
        evidence.documents.gateways[DEVICE] = gateway(DEVICE, pairing(ANN, until=2.5))
        evidence.changes = [
            PairingChange(
                DEVICE, ANN, "unpair", ended - 0.1, ended + 9, [NOON.timestamp() + written]
            )
        ]
        report = check(evidence)
        assert any(each.key == TWO for each in report.violations) is violations
        assert report.unsure == (not violations)


def test_what_came_while_the_first_pairing_was_written_may_be_nobodys() -> None:
    """Ann's pairing began at 0.5 s. Ingest did not know it yet: it dropped the gateway's own
    event, and parked under the gateway's name what was malformed and what was above the quota.
    Data it would have handed over to her: what is not on her queue is lost."""
    concerned = {Key(DEVICE, mid) for mid in ("1", "5", "7")}
    for written, violated in ((7.2, set[Key]()), (0.9, concerned)):
        evidence = clean()
        evidence.documents.gateways[DEVICE] = gateway(DEVICE, pairing(ANN, 0.5))
        lose(evidence)
        evidence.documents.timeline = []
        evidence.documents.parked = [
            each.model_copy(update={"holder": DEVICE}) for each in evidence.documents.parked
        ]
        noon = NOON.timestamp()
        change = PairingChange(DEVICE, ANN, "pair", noon + 0.4, noon + 9, [noon + written])
        evidence.changes = [change]
        violations = check(evidence).violations
        assert concerned & {each.key for each in violations} == violated
        assert ("lost", ONE) in {(each.kind, each.key) for each in violations}


def test_a_trace_tells_a_message_s_whole_way(tmp_path_factory: pytest.TempPathFactory) -> None:
    log = tmp_path_factory.mktemp("logs") / "ingest.log"
    lines = [
        json.dumps({"message": "message forwarded", "correlation_id": f"id {DEVICE} 2"}),
        json.dumps({"message": "of another", "correlation_id": "id 3"}),
        "no JSON",
    ]
    log.write_text("\n".join(lines))
    evidence = clean()
    double(evidence)
    report = check(evidence)
    (violation,) = report.violations
    assert violation.key is not None
    faults = [Done(NOON.timestamp() + 2, "SIGKILL", "ingest"), Done(0, "SIGKILL", "azure")]
    told = trace(violation.key, evidence, report.expected, faults, [log])
    for each in (
        "stored by the gateway",
        "PUBACK to the gateway",
        "in the stream at 0/1",
        "taken by the queue of ann, number 1",
        "taken by the queue of ann, number 9",
        "received from the queue of ann, number 9",
        "fault: SIGKILL ingest",
        "it must be: queue, of ann",
        "pairing: ann from",
        "message forwarded",
    ):
        assert each in told
    assert "of another" not in told
    assert "azure" not in told


def _drop_from_the_stream(it: Evidence, key: Key) -> None:
    kept = [each for each in it.stream if each.key != key]
    it.stream = [replace(each, sequence_number=number) for number, each in enumerate(kept)]


def _keep_only(it: Evidence, *keys: Key) -> None:
    """The queue's part of a few messages; the figures are another's matter."""
    it.stream = [each for each in it.stream if each.key in keys]
    it.received = [each for each in it.received if each.key in keys]
