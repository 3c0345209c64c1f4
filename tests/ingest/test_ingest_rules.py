"""Ownership, quota, statistics, sizes and device state, where an example says it best."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.logic import accounting
from services.ingest.logic.accounting import Charge
from services.ingest.logic.admission import decide
from services.ingest.logic.batch import MAX_LEDGERS
from services.ingest.logic.decode import decode
from services.ingest.logic.events import Message
from services.ingest.logic.ownership import Nobody, owner
from services.ingest.logic.plan import Limits
from services.ingest.logic.state import StateChange, observe
from shared.schemas.contract import ConnectionState
from shared.schemas.documents import Connections, DayCount, Ledger, Pairing, ParkedCount, Quota
from tests.ingest.made_events import (
    DEVICE,
    MANUFACTURED,
    NOON,
    STREAM,
    data,
    device_state,
    gateway,
    known,
    pairing,
    raw_event,
)


def test_a_former_owners_data_is_not_the_next_ones_however_old() -> None:
    one = gateway(
        pairing("former", NOON - timedelta(days=300), NOON - timedelta(days=100)),
        pairing("next", NOON - timedelta(days=50)),
    )
    stored = NOON - timedelta(days=200)
    assert owner(one, enqueued_at=NOON, created_at=NOON, claimed_at=stored) is Nobody.NOT_THEIRS


def test_a_clock_from_before_the_gateway_was_made_proves_nothing() -> None:
    one = gateway(pairing("alice", NOON - timedelta(days=50)))
    wrong = MANUFACTURED - timedelta(days=9000)
    whose = owner(one, enqueued_at=NOON, created_at=NOON, claimed_at=wrong)
    assert isinstance(whose, Pairing)


def test_a_gateway_that_is_not_in_the_inventory_was_never_paired() -> None:
    assert owner(None, enqueued_at=NOON, created_at=NOON, claimed_at=None) is Nobody.NEVER_PAIRED


def test_data_and_notifications_have_quotas_of_their_own() -> None:
    quota = Quota(day=NOON.date(), data=100)
    ledger = Ledger(id=DEVICE, partition=STREAM, quota=quota)
    assert accounting.charged(ledger, NOON.date(), Charge.DATA, 100) is None
    assert accounting.charged(ledger, NOON.date(), Charge.NOTIFICATIONS, 100) is not None


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 3750)), max_size=80))
def test_statistics_are_exact_for_today_and_seven_days_back(
    taken: list[tuple[int, int]],
) -> None:
    ledger = Ledger(id=DEVICE, partition=STREAM)
    for day, size in taken:
        ledger = accounting.counted(ledger, pairing(), NOON + timedelta(days=day), size)
    assert ledger.messages == len(taken)
    assert ledger.bytes == sum(size for _, size in taken)
    newest = max((day for day, _ in taken), default=0)
    assert set(ledger.days) <= {NOON.date() + timedelta(days=newest - n) for n in range(8)}
    today = [size for day, size in taken if day == newest]
    if today:
        count = ledger.days[NOON.date() + timedelta(days=newest)]
        assert count == DayCount(messages=len(today), bytes=sum(today))


def test_a_new_pairing_counts_from_nothing() -> None:
    ledger = accounting.counted(Ledger(id=DEVICE, partition=STREAM), pairing("former"), NOON, 1000)
    ledger = accounting.counted(ledger, pairing("next"), NOON, 5)
    assert (ledger.messages, ledger.bytes) == (1, 5)
    assert ledger.days == {NOON.date(): DayCount(messages=1, bytes=5)}


def test_a_transaction_of_the_largest_ledgers_stays_far_below_two_megabytes() -> None:
    count = DayCount(messages=10**6, bytes=10**10)
    largest = Ledger(
        id="x" * 128,
        partition="e" * 256 + "/99",
        highest_mid=2**53,
        quota=Quota(day=NOON.date(), data=10**6, notifications=10**6, warned=True),
        parked=ParkedCount(day=NOON.date(), parked=10**6, dropped=10**9),
        connections=Connections(ConnectionState.DISCONNECTED, NOON.date(), 10**6, "u" * 200),
        waiting=True,
        handed_over=2**53,
        owner="u" * 200,
        messages=2**53,
        bytes=2**53,
        days={NOON.date() - timedelta(days=n): count for n in range(8)},
    )
    assert len(largest.model_dump_json()) * MAX_LEDGERS < 2_000_000 / 10


def test_a_mid_not_above_the_highest_is_a_repetition() -> None:
    ledger = Ledger(id=DEVICE, partition=STREAM, highest_mid=7)
    assert accounting.is_repetition(ledger, 7)
    assert not accounting.is_repetition(ledger, 8)
    assert not accounting.is_repetition(ledger, None)
    content = decode(raw_event(mid="9")).content
    assert isinstance(content, Message)
    assert accounting.seen(ledger, content.number).highest_mid == 9


def test_state_is_folded_into_one_change_with_the_position_of_the_last_event() -> None:
    twin = b'{"properties":{"reported":{"fwversion":"2.0.0","app_name":"meter"}}}'
    events = [
        decode(raw_event(7, source="deviceConnectionStateEvents", opType="deviceConnected")),
        decode(raw_event(8, twin, source="twinChangeEvents")),
        decode(raw_event(9, twin, source="twinChangeEvents")),
        data(10, 1),
    ]
    who = known(gateway(pairing()), states={("alice", DEVICE): device_state()})
    (change,) = decide(events, STREAM, {}, who, Limits(100, 100, 100)).states.values()
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
