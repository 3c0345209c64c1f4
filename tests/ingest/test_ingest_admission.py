"""What becomes of events: each message once, to its owner, whatever is repeated or cut."""

import base64
from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.logic.admission import decide
from services.ingest.logic.decode import decode
from services.ingest.logic.events import Event, RawEvent
from services.ingest.logic.plan import Known, Limits, Outgoing, Plan
from services.ingest.logic.state import StateChange, observe
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import Ledger
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


def test_data_of_a_gateway_that_was_never_paired_waits_for_its_first_owner() -> None:
    plan = decided(raw_event(mid="1"), known(gateway()))
    assert [(each.reason, each.holder) for each in plan.parked] == [("no_owner", DEVICE)]
    assert plan.ledgers[DEVICE].waiting
    assert not plan.waiting


def test_data_of_a_former_owner_reaches_nobody_and_is_kept_nowhere() -> None:
    ended = NOON - timedelta(hours=2)
    began = NOON - timedelta(hours=1)
    resold = known(gateway(pairing("bob", ended_at=ended), pairing("alice", began)))
    stored = (ended - timedelta(minutes=1)).isoformat()
    for kind in ("data", "notification", "management"):
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


def test_state_is_folded_into_one_change_with_the_position_of_the_last_event() -> None:
    twin = b'{"properties":{"reported":{"fwversion":"2.0.0","app_name":"meter"}}}'
    events = [
        decode(raw_event(7, source="deviceConnectionStateEvents", opType="deviceConnected")),
        decode(raw_event(8, twin, source="twinChangeEvents")),
        decode(raw_event(9, twin, source="twinChangeEvents")),
        data(10, 1),
    ]
    who = known(gateway(pairing()), states={("alice", DEVICE): device_state()})
    (change,) = decide(events, STREAM, {}, who, LIMITS).states.values()
    assert change.position == 8
    assert change.fields == {
        "status": "Connected",
        "status_at": NOON.isoformat(),
        "stat_device_id": f"mymote:0:{DEVICE}",
        "fwversion": "2.0.0",
        "app_name": "meter",
    }


def test_telemetry_proves_that_a_device_is_connected_and_writes_it_once() -> None:
    gone = device_state(stat_device_id=f"mymote:0:{DEVICE}", stream=STREAM, position=5)
    back = observe(StateChange("alice", DEVICE, STREAM), gone, data(6, 1), gone.stat_device_id)
    assert back.fields["status"] == "Connected"
    there = device_state(
        status=ConnectionState.CONNECTED, stat_device_id=gone.stat_device_id, stream=STREAM
    )
    none = observe(StateChange("alice", DEVICE, STREAM), there, data(7, 2), gone.stat_device_id)
    assert not none.fields


def test_an_event_from_before_the_known_state_changes_nothing() -> None:
    known_state = device_state(stream=STREAM, position=50)
    change = observe(StateChange("alice", DEVICE, STREAM), known_state, data(50, 1), "s")
    assert not change.fields
