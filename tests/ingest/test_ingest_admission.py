"""What becomes of events: each message once, to its owner, whatever is repeated or cut."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.logic.admission import decide
from services.ingest.logic.decode import decode
from services.ingest.logic.events import Event, RawEvent
from services.ingest.logic.plan import Known, Limits, Outgoing, Plan
from shared.schemas.documents import Ledger, ParkedCount
from tests.ingest.made_events import (
    DEVICE,
    NOON,
    OTHER,
    STREAM,
    data,
    device_state,
    gateway,
    known,
    pairing,
    raw_event,
)

LIMITS = Limits(data=100, notifications=100, parked=100)
PAIRED = known(gateway(pairing()), gateway(pairing("bob"), device_id=OTHER))


def committed(
    events: Sequence[Event], cuts: Sequence[int] = (), who: Known = PAIRED, limits: Limits = LIMITS
) -> tuple[dict[str, list[Outgoing]], dict[str, Ledger], list[Plan]]:
    """The effects of events that are committed in runs, cut at some indices."""
    ledgers: dict[str, Ledger] = {}
    sends: dict[str, list[Outgoing]] = {}
    plans = []
    bounds = [0, *sorted(cuts), len(events)]
    for start, end in pairwise(bounds):
        plan = decide(events[start:end], STREAM, ledgers, who, limits)
        ledgers.update(plan.ledgers)
        for user_id, messages in plan.sends.items():
            sends.setdefault(user_id, []).extend(messages)
        plans.append(plan)
    return sends, ledgers, plans


def only(plan: Plan) -> str:
    (((_, outcome), count),) = plan.outcomes.items()
    assert count == 1
    return outcome


def decided(raw: RawEvent, who: Known = PAIRED) -> Plan:
    return decide([decode(raw)], STREAM, {}, who, LIMITS)


@st.composite
def repeated(draw: st.DrawFn) -> list[Event]:
    """Messages 1 to n of two gateways, delivered at least once each: 1, 2, 1, 2, 3."""
    mids = {DEVICE: 0, OTHER: 0}
    events: list[Event] = []
    for n in range(draw(st.integers(0, 40))):
        device = draw(st.sampled_from((DEVICE, OTHER)))
        back = draw(st.integers(0, 3))
        if back and mids[device] >= back:
            mid = mids[device] - back + 1
        else:
            mids[device] = mid = mids[device] + 1
        events.append(data(n, mid, device, body=f"{device} {mid}".encode()))
    return events


@given(repeated(), st.lists(st.integers(0, 40), max_size=5))
def test_each_message_goes_out_once_in_order_however_it_is_repeated_and_cut(
    events: list[Event], cuts: list[int]
) -> None:
    sends, ledgers, _ = committed(events, [cut for cut in cuts if cut <= len(events)])
    for user, device in (("alice", DEVICE), ("bob", OTHER)):
        sent = [each.properties["mid"] for each in sends.get(user, [])]
        highest = max((int(m) for m in sent), default=0)
        assert sent == [str(mid) for mid in range(1, highest + 1)]
        if sent:
            assert ledgers[device].messages == len(sent)


@given(repeated(), st.lists(st.integers(0, 40), max_size=5))
def test_how_a_stream_is_cut_into_runs_changes_neither_messages_nor_counts(
    events: list[Event], cuts: list[int]
) -> None:
    cut = [each for each in cuts if each <= len(events)]
    assert committed(events)[:2] == committed(events, cut)[:2]


def test_what_is_sent_has_these_properties_and_no_others() -> None:
    states = {("alice", DEVICE): device_state()}
    created = NOON - timedelta(seconds=90)
    raw = raw_event(
        mid="17", created=created.isoformat(), content_type="text/csv", user_route="r", colour="red"
    )
    plan = decided(raw, known(gateway(pairing()), states=states))
    (message,) = plan.sends["alice"]
    assert message.body == b"payload"
    assert message.content_type == "text/csv"
    assert message.properties == {
        "iothub-connection-device-id": DEVICE,
        "mid": "17",
        "user_route": "r",
        "device_name": "Pump 3",
        "iothub-creation-time-utc": "2026-05-04T11:58:30.000Z",
    }


def test_a_message_without_mid_is_known_by_its_place_in_the_stream() -> None:
    events = [decode(raw_event(n)) for n in (1, 2)]
    sends, _, _ = committed(events)
    ids = [each.message_id for each in sends["alice"]]
    assert len(set(ids)) == 2
    assert "mid" not in sends["alice"][0].properties


def test_the_message_above_the_quota_is_parked_and_the_next_day_starts_anew() -> None:
    limits = Limits(data=2, notifications=1, parked=100)
    tomorrow = NOON + timedelta(days=1)
    events = [data(n, n, enqueued_at=NOON) for n in range(1, 5)]
    events.append(data(5, 5, enqueued_at=tomorrow))
    events.append(decode(raw_event(6, b"hot", mid="6", type="notification", level="2")))
    sends, ledgers, plans = committed(events, limits=limits)
    assert [each.properties["mid"] for each in sends["alice"]] == ["1", "2", "5"]
    assert [each.reason for each in plans[0].parked] == ["over_quota", "over_quota"]
    assert [each.holder for each in plans[0].parked] == ["alice", "alice"]
    assert plans[0].parked[0].detail == "more than 2 data messages of 2026-05-04 UTC"
    assert [each.text for each in plans[0].notifications] == [
        "Quota of 2 data messages a day is used up: more are refused until 2026-05-05 00:00 UTC",
        "hot",
    ]
    assert ledgers[DEVICE].messages == 4
    assert ledgers[DEVICE].highest_mid == 6


def test_a_malformed_message_is_parked_whole_and_changes_no_count() -> None:
    plan = decided(raw_event(body=b"\xff\x00" * 1876, mid="3", colour="red"))
    (message,) = plan.parked
    assert message.reason == "malformed"
    assert "at most 3750" in message.detail
    assert message.holder == "alice"
    assert base64.b64decode(message.body) == b"\xff\x00" * 1876
    assert message.mid == "3"
    assert message.properties["colour"] == "red"
    assert plan.ledgers[DEVICE].messages == 0
    assert not plan.sends


def test_data_of_a_gateway_that_was_never_paired_waits_for_its_first_owner_within_the_quota() -> (
    None
):
    _, ledgers, plans = committed(
        [data(n, n) for n in range(4)], who=known(gateway()), limits=replace(LIMITS, data=2)
    )
    assert [(each.reason, each.holder) for each in plans[0].parked] == [
        ("no_owner", DEVICE),
        ("no_owner", DEVICE),
        ("over_quota", DEVICE),
        ("over_quota", DEVICE),
    ]
    assert ledgers[DEVICE].waiting
    assert ledgers[DEVICE].messages == 0
    assert not plans[0].notifications


def test_what_the_hub_took_just_before_the_first_pairing_is_delivered_in_order() -> None:
    first = pairing(started_at=NOON + timedelta(seconds=1))
    events = [data(1, 1), data(2, 2, enqueued_at=NOON + timedelta(seconds=2))]
    sends, ledgers, plans = committed(events, who=known(gateway(first)))
    assert [each.properties["mid"] for each in sends["alice"]] == ["1", "2"]
    assert (ledgers[DEVICE].messages, ledgers[DEVICE].handed_over) == (2, 1)
    assert not plans[0].parked
    waits = Ledger(id=DEVICE, partition=STREAM, waiting=True)
    behind = decide(events[:1], STREAM, {DEVICE: waits}, known(gateway(first)), LIMITS)
    assert not behind.sends
    assert [each.reason for each in behind.parked] == ["no_owner"]


def test_the_owner_is_warned_once_for_each_charged_day_and_the_next_owner_as_well() -> None:
    limits = replace(LIMITS, data=1)
    hours = [NOON + timedelta(hours=n) for n in range(4)]
    resold = known(gateway(pairing("alice", ended_at=hours[2]), pairing("bob", hours[2])))
    events = [data(n, n, enqueued_at=hours[n // 2]) for n in range(8)]
    _, _, plans = committed(events, [2, 5], who=resold, limits=limits)
    warnings = [each for plan in plans for each in plan.notifications]
    assert [(each.user_id, each.level, each.enqueued_at) for each in warnings] == [
        ("alice", 2, hours[0]),
        ("bob", 2, hours[2]),
    ]
    _, ledgers, _ = committed(events, who=resold, limits=limits)
    assert ledgers[DEVICE].messages == 0  # bob has had nothing


def test_a_quota_warning_is_a_notification_of_lawful_size() -> None:
    limits = Limits(data=0, notifications=0, parked=0)
    for kind in ("data", "notification"):
        plan = decide([decode(raw_event(1, type=kind, level="1"))], STREAM, {}, PAIRED, limits)
        assert 0 < len(plan.notifications[0].text.encode()) <= 100 - len("1000000000")


def test_garbage_of_one_day_is_parked_up_to_the_cap_and_the_owner_is_told_once() -> None:
    limits = replace(LIMITS, data=1, parked=2)
    events = [decode(raw_event(n, mid=str(n), type="garbage")) for n in range(3)]
    events += [data(n, n) for n in range(3, 6)]
    tomorrow = NOON + timedelta(days=1)
    events.append(decode(raw_event(6, mid="6", type="garbage", enqueued_at=tomorrow)))
    sends, ledgers, plans = committed(events, [4], limits=limits)
    parked = [each for plan in plans for each in plan.parked]
    assert [each.sequence_number for each in parked] == [0, 1, 6]
    assert [dict(plan.dropped) for plan in plans] == [{"malformed": 1}, {"over_quota": 2}]
    assert [plan.limited for plan in plans] == [{DEVICE}, set()]
    told = [each.event for plan in plans for each in plan.timeline]
    assert told == ["parking_limit", "over_quota"]
    assert [each.properties["mid"] for each in sends["alice"]] == ["3"]
    assert ledgers[DEVICE].parked == ParkedCount(day=tomorrow.date(), parked=1)


def test_a_malformed_message_that_is_repeated_is_parked_once() -> None:
    events = [decode(raw_event(n, mid="7", type="garbage")) for n in range(2)]
    (plan,) = committed(events)[2]
    assert len(plan.parked) == 1
    assert plan.ledgers[DEVICE].highest_mid == 7
    bad_property = raw_event(2, mid="8", user_route=b"\xff")
    assert decided(bad_property).ledgers[DEVICE].highest_mid == 8


def test_a_message_that_is_late_for_a_former_owner_is_theirs_and_changes_no_count() -> None:
    later = NOON + timedelta(seconds=2)
    resold = known(gateway(pairing("alice", ended_at=later), pairing("bob", later)))
    events = [data(1, 1, enqueued_at=later), data(2, 2, enqueued_at=NOON)]
    sends, ledgers, _ = committed([*events, data(3, 3, enqueued_at=later)], who=resold)
    assert {user: len(messages) for user, messages in sends.items()} == {"alice": 1, "bob": 2}
    assert ledgers[DEVICE].messages == 2


def test_data_of_a_former_owner_reaches_nobody_and_is_kept_nowhere() -> None:
    ended = NOON - timedelta(hours=2)
    began = NOON - timedelta(hours=1)
    resold = known(gateway(pairing("bob", ended_at=ended), pairing("alice", began)))
    stored = (ended - timedelta(minutes=1)).isoformat()
    for kind in ("data", "notification", "management", "garbage"):
        body = b'{"event":"started"}' if kind == "management" else b"x"
        plan = decided(raw_event(mid="5", created=stored, body=body, type=kind, level="1"), resold)
        assert only(plan) == "unowned"
        assert plan.ledgers[DEVICE].highest_mid == 5
        effects = [plan.sends, plan.parked, plan.notifications, plan.timeline]
        assert not any(effects)


def test_statistics_do_not_show_what_a_former_owner_sent() -> None:
    began = NOON + timedelta(hours=1)
    resold = known(
        gateway(pairing("bob", ended_at=NOON + timedelta(minutes=1)), pairing("alice", began))
    )
    events = [data(1, 1), data(2, 2, enqueued_at=began + timedelta(minutes=1), body=b"abc")]
    sends, ledgers, _ = committed(events, who=resold)
    assert [len(messages) for messages in sends.values()] == [1, 1]
    assert (ledgers[DEVICE].messages, ledgers[DEVICE].bytes) == (1, 3)
    assert ledgers[DEVICE].owner == pairing("alice", began).owner


def test_management_is_charged_to_no_quota_and_is_not_counted() -> None:
    plan = decided(raw_event(mid="1", body=b'{"event":"rebooted"}', type="management"))
    (entry,) = plan.timeline
    assert (entry.event, entry.user_id, entry.device_id) == ("rebooted", "alice", DEVICE)
    assert plan.ledgers[DEVICE].quota is None
    assert plan.ledgers[DEVICE].messages == 0


def test_a_message_for_an_account_without_a_record_is_accepted_as_any() -> None:
    nowhere = Known(PAIRED.gateways, {}, {})
    raw = raw_event(mid="1")
    assert decided(raw, nowhere) == decided(raw)
