"""Ownership intervals, quota days, statistics and batch cutting, by their properties."""

from datetime import date, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.logic import accounting
from services.ingest.logic.accounting import Charge
from services.ingest.logic.batch import MAX_LEDGERS, after, runs
from services.ingest.logic.decode import decode
from services.ingest.logic.events import Message
from services.ingest.logic.ownership import Nobody, owner, pairing_at
from shared.schemas.documents import DayCount, Gateway, Ledger, Pairing, Quota
from tests.ingest.made_events import (
    DEVICE,
    MANUFACTURED,
    NOON,
    STREAM,
    data,
    gateway,
    pairing,
    raw_event,
)

moments = st.integers(0, 2000).map(lambda minutes: NOON + timedelta(minutes=minutes))


@st.composite
def gateways(draw: st.DrawFn) -> Gateway:
    """A gateway that changed hands; some times it belonged to nobody."""
    bounds = sorted(draw(st.lists(moments, min_size=0, max_size=8)))
    pairings = [
        Pairing(user_id=f"user{n}", device_name="", started_at=start, ended_at=end)
        for n, (start, end) in enumerate(zip(bounds[::2], bounds[1::2], strict=False))
    ]
    if draw(st.booleans()):
        last = bounds[-1] if bounds else NOON
        pairings.append(Pairing(user_id="last", device_name="", started_at=last))
    return gateway(*pairings)


@given(gateways(), moments)
def test_the_pairing_in_force_is_the_only_one_that_contains_the_moment(
    one: Gateway, moment: datetime
) -> None:
    containing = [
        each
        for each in one.pairings
        if each.started_at <= moment and (each.ended_at is None or moment < each.ended_at)
    ]
    assert pairing_at(one, moment) == (containing[0] if containing else None)


@given(gateways(), moments, st.none() | moments)
def test_a_message_belongs_to_nobody_but_who_had_the_gateway_all_the_time(
    one: Gateway, enqueued_at: datetime, stored: datetime | None
) -> None:
    whose = owner(one, enqueued_at=enqueued_at, created_at=stored or enqueued_at, claimed_at=stored)
    if isinstance(whose, Pairing):
        assert whose.started_at <= enqueued_at
        assert whose.ended_at is None or enqueued_at < whose.ended_at
        assert stored is None or whose.started_at <= stored
    elif whose is Nobody.NEVER_PAIRED:
        assert all(each.started_at > enqueued_at for each in one.pairings)


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


@given(st.lists(st.dates(date(2026, 1, 1), date(2026, 1, 9)), max_size=60), st.integers(0, 5))
def test_no_day_takes_more_than_the_quota_and_the_charged_day_never_goes_back(
    created: list[date], limit: int
) -> None:
    ledger = Ledger(id=DEVICE, partition=STREAM)
    used: dict[date, int] = {}
    newest = date.min
    for day in created:
        newest = max(newest, day)
        charged = accounting.charged(ledger, day, Charge.DATA, limit)
        assert (charged is None) == (used.get(newest, 0) >= limit)
        if charged is None:
            continue
        assert charged.quota is not None
        assert charged.quota.day == newest
        used[newest] = charged.quota.data
        ledger = charged


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


@given(st.lists(st.integers(0, 50), max_size=80), st.integers(-1, 30))
def test_what_is_delivered_again_is_dropped(numbers: list[int], position: int) -> None:
    kept = [each.sequence_number for each in after(map(raw_event, numbers), position)]
    assert kept == sorted(set(kept))
    assert all(number > position for number in kept)
    highest = max([position, *numbers])
    assert (kept[-1] if kept else position) == highest


@given(st.lists(st.integers(0, 30), max_size=120), st.integers(1, 12))
def test_runs_are_contiguous_and_each_fits_a_transaction(devices: list[int], most: int) -> None:
    events = [data(n, n, f"X400_{device}") for n, device in enumerate(devices)]
    cut = list(runs(events, most))
    assert [event for run in cut for event in run] == events
    assert all(run for run in cut)
    for run in cut:
        assert len({each.device_id for each in run}) <= most
    for run, following in pairwise(cut):
        assert len({each.device_id for each in run} | {following[0].device_id}) > most


def test_a_transaction_of_the_largest_ledgers_stays_far_below_two_megabytes() -> None:
    count = DayCount(messages=10**6, bytes=10**10)
    largest = Ledger(
        id="x" * 128,
        partition="e" * 256 + "/99",
        highest_mid=2**53,
        quota=Quota(day=NOON.date(), data=10**6, notifications=10**6),
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
