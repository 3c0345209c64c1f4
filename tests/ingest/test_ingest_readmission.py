"""The way back of parked messages: what comes out is what would have gone out at first."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.logic import parking, readmission
from services.ingest.logic.admission import decide
from services.ingest.logic.decode import decode
from services.ingest.logic.events import Malformed
from services.ingest.logic.plan import Limits, Plan
from shared.schemas.documents import Ledger, Pairing, ParkedMessage
from tests.ingest.made_events import (
    DEVICE,
    NOON,
    STREAM,
    data,
    gateway,
    known,
    pairing,
    raw_event,
)

LIMITS = Limits(data=100, notifications=100, parked=100)

texts = st.text(max_size=20)


def stored(document: ParkedMessage) -> ParkedMessage:
    """As it comes back from Cosmos DB."""
    return ParkedMessage.model_validate(json.loads(document.model_dump_json()))


@given(
    st.binary(min_size=1, max_size=3750),
    st.none() | texts,
    st.none() | texts,
    st.none() | texts,
    st.none()
    | st.integers(-(10**6), 10**6).map(lambda each: (NOON + timedelta(seconds=each)).isoformat()),
)
def test_what_a_queue_refused_goes_out_as_it_would_have_gone_out_at_first(
    body: bytes, mid: str | None, route: str | None, content_type: str | None, created: str | None
) -> None:
    more = {} if route is None else {"user_route": route}
    event = decode(
        raw_event(7, body, mid=mid, created=created, content_type=content_type, **more)  # type: ignore[arg-type]
    )
    plan = decide([event], STREAM, {}, known(gateway(pairing())), LIMITS)
    (first,) = plan.sends["alice"]
    document = stored(parking.refused(first, "alice", STREAM, "the queue is full"))
    again = readmission.outgoing(document, "Pump")
    assert document.ttl == 30 * 86_400
    assert (again.message_id, again.body) == (first.message_id, body)
    assert (again.content_type, again.properties) == (first.content_type, first.properties)
    assert stored(parking.refused(again, "alice", STREAM, "the queue is full")) == document


@given(st.lists(st.booleans(), max_size=30), st.data())
def test_what_waits_for_the_first_owner_goes_out_as_if_it_had_been_paired_all_along(
    notices: list[bool], draw: st.DataObject
) -> None:
    kinds = ["notification" if each else "data" for each in notices]
    events = [
        decode(raw_event(n, b"%d" % n, mid=str(n), type=kind, level="2"))
        for n, kind in enumerate(kinds)
    ]
    at_once = decide(events, STREAM, {}, known(gateway(pairing())), LIMITS)
    before = decide(events, STREAM, {}, known(gateway()), LIMITS)
    first = pairing(started_at=NOON + timedelta(minutes=1))
    paired = known(gateway(first))
    documents = [stored(each) for each in before.parked]
    cut = draw.draw(st.integers(0, len(documents)))
    back = draw.draw(st.integers(0, cut))
    ledgers = before.ledgers
    sends, notifications = [], []
    for part in (documents[:cut], documents[cut - back :]):
        ledger = ledgers.get(DEVICE, Ledger(id=DEVICE, partition=STREAM))
        plan = readmission.hand_over(draw.draw(st.permutations(part)), first, ledger, paired)
        ledgers = plan.ledgers
        sends += plan.sends.get("alice", [])
        notifications += plan.notifications
    assert [(each.message_id, each.body, each.properties) for each in sends] == [
        (each.message_id, each.body, each.properties) for each in at_once.sends.get("alice", [])
    ]
    assert notifications == at_once.notifications
    if events:
        handed, direct = ledgers[DEVICE], at_once.ledgers[DEVICE]
        assert (handed.messages, handed.bytes, handed.days, handed.quota, handed.highest_mid) == (
            direct.messages, direct.bytes, direct.days, direct.quota, direct.highest_mid
        )  # fmt: skip
        assert handed.handed_over == len(events) - 1


def over_quota(who: Pairing, kind: str = "data") -> ParkedMessage:
    nothing = replace(LIMITS, data=0, notifications=0)
    raw = raw_event(3, b"late", mid="3", type=kind, level="1")
    (document,) = decide([decode(raw)], STREAM, {}, known(gateway(who)), nothing).parked
    return stored(document)


def redelivered(order: ParkedMessage, ledger: Ledger, *pairings: Pairing) -> Plan:
    plan = readmission.redeliver(order, pairings[0].user_id, ledger, known(gateway(*pairings)))
    assert isinstance(plan, Plan)
    return plan


EMPTY = Ledger(id=DEVICE, partition=STREAM)
ENDED = pairing("alice", ended_at=NOON + timedelta(hours=1))
NEXT = pairing("bob", NOON + timedelta(hours=2))


def test_an_ordered_redelivery_asks_neither_quota_nor_mid_and_is_counted() -> None:
    ledger = EMPTY.model_copy(update={"highest_mid": 9, "owner": pairing().owner, "messages": 4})
    plan = redelivered(over_quota(pairing()), ledger, pairing())
    assert [each.body for each in plan.sends["alice"]] == [b"late"]
    after_it = plan.ledgers[DEVICE]
    assert (after_it.messages, after_it.bytes, after_it.highest_mid) == (5, 4, 9)
    assert after_it.quota is None
    notice = redelivered(over_quota(pairing(), "notification"), ledger, pairing())
    assert [each.text for each in notice.notifications] == ["late"]


def test_a_redelivery_is_the_former_owners_and_changes_no_count_of_the_next() -> None:
    ledger = EMPTY.model_copy(update={"owner": NEXT.owner, "messages": 4, "bytes": 40})
    plan = redelivered(over_quota(ENDED), ledger, ENDED, NEXT)
    assert list(plan.sends) == ["alice"]
    assert plan.ledgers[DEVICE] == ledger


def test_a_redelivery_of_a_former_pairing_of_the_same_account_is_counted_for_neither() -> None:
    again = pairing("alice", NOON + timedelta(hours=2))
    ledger = EMPTY.model_copy(update={"owner": again.owner, "messages": 4})
    assert redelivered(over_quota(ENDED), ledger, ENDED, again).ledgers[DEVICE] == ledger


def test_what_was_over_quota_before_the_first_pairing_can_go_to_the_first_owner() -> None:
    nothing = replace(LIMITS, data=0)
    plan = decide([data(1, 1)], STREAM, {}, known(gateway()), nothing)
    assert [(each.reason, each.holder) for each in plan.parked] == [("over_quota", DEVICE)]
    assert not plan.notifications
    assert not plan.ledgers[DEVICE].waiting
    first = pairing(started_at=NOON + timedelta(hours=1))
    done = redelivered(plan.parked[0], plan.ledgers[DEVICE], first)
    assert done.ledgers[DEVICE].owner == first.owner
    assert done.ledgers[DEVICE].messages == 1


def test_what_is_malformed_still_is_not_redelivered_and_what_is_understood_now_is() -> None:
    raw = raw_event(1, b"fine", mid="1", type="telemetry")
    (document,) = decide([decode(raw)], STREAM, {}, known(gateway(pairing())), LIMITS).parked
    refusal = readmission.redeliver(document, "alice", EMPTY, known(gateway(pairing())))
    assert refusal == Malformed(document.detail)
    mended = document.model_copy(update={"properties": {"type": "data"}})
    assert redelivered(mended, EMPTY, pairing()).sends["alice"][0].body == b"fine"


@pytest.mark.parametrize("name", ["user_route", "type"])
def test_a_property_that_was_no_text_does_not_become_one_by_being_parked(name: str) -> None:
    raw = raw_event(1, b"fine", mid="1", **{name: b"\xff"})  # type: ignore[arg-type]
    (document,) = decide([decode(raw)], STREAM, {}, known(gateway(pairing())), LIMITS).parked
    again = readmission.redeliver(stored(document), "alice", EMPTY, known(gateway(pairing())))
    assert again == Malformed("a property is not UTF-8")


def test_what_waits_and_is_malformed_by_the_rules_of_today_is_parked_as_such() -> None:
    before = decide([data(0, 0), data(1, 1)], STREAM, {}, known(gateway()), LIMITS)
    broken = before.parked[0].model_copy(update={"properties": {"type": "telemetry"}})
    first = pairing(started_at=NOON + timedelta(hours=1))
    plan = readmission.hand_over(
        [broken, before.parked[1]], first, before.ledgers[DEVICE], known(gateway(first))
    )
    assert [(each.reason, each.holder) for each in plan.parked] == [("malformed", "alice")]
    assert [each.properties["mid"] for each in plan.sends["alice"]] == ["1"]
    assert (plan.ledgers[DEVICE].messages, plan.ledgers[DEVICE].handed_over) == (1, 1)


def test_what_waited_is_not_counted_for_a_later_owner() -> None:
    before = decide([data(0, 0)], STREAM, {}, known(gateway()), LIMITS)
    first = pairing("alice", NOON + timedelta(hours=1), NOON + timedelta(hours=2))
    later = pairing("bob", NOON + timedelta(hours=3))
    counted = {"owner": later.owner, "messages": 2, "bytes": 9}
    ledger = before.ledgers[DEVICE].model_copy(update=counted)
    plan = readmission.hand_over(before.parked, first, ledger, known(gateway(first, later)))
    assert list(plan.sends) == ["alice"]
    after_it = plan.ledgers[DEVICE]
    assert (after_it.owner, after_it.messages, after_it.bytes) == (later.owner, 2, 9)
