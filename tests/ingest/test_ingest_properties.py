"""The parts of the decisions by their properties: days, intervals, cutting, garbage."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.ingest.logic import accounting
from services.ingest.logic.accounting import Charge
from services.ingest.logic.admission import decide
from services.ingest.logic.batch import MAX_LEDGERS, after, runs
from services.ingest.logic.decode import decode
from services.ingest.logic.events import Event, Message, RawEvent
from services.ingest.logic.garbage import WINDOW_DEVICES, GarbageWatch, TooMuchGarbage
from services.ingest.logic.ownership import Nobody, first_owner, owner, pairing_at
from services.ingest.logic.plan import Known, Limits
from shared.schemas.documents import Gateway, Ledger, Pairing
from tests.ingest.made_events import (
    DEVICE,
    MANUFACTURED,
    NOON,
    STREAM,
    data,
    gateway,
    known,
    pairing,
    raw_event,
)

LIMITS = Limits(data=100, notifications=100, parked=100)

seconds_between = st.sampled_from((0, 0, 60, 86_400)) | st.integers(0, 30 * 3600)
minutes = st.integers(0, 40).map(lambda each: NOON + timedelta(minutes=each))
near_and_far = (
    st.integers(-45 * 24, 24).map(lambda hours: timedelta(hours=hours))
    | st.integers(-600, 600).map(lambda seconds: timedelta(seconds=seconds))
    | st.sampled_from((timedelta(minutes=5), timedelta(days=-30), timedelta(days=-9999)))
)


@given(
    st.lists(st.tuples(seconds_between, st.none() | near_and_far), max_size=60),
    st.integers(1, 4),
)
def test_no_day_takes_more_than_the_quota_and_the_charged_day_never_goes_back(
    steps: list[tuple[int, timedelta | None]], limit: int
) -> None:
    ledger = Ledger(id=DEVICE, partition=STREAM)
    taken = NOON + timedelta(hours=11, minutes=57)
    charged_days = [date.min]
    for seconds, stored in steps:
        taken += timedelta(seconds=seconds)
        claimed = taken if stored is None else taken + stored
        believed = taken - timedelta(days=30) <= claimed <= taken + timedelta(minutes=5)
        day = max(charged_days[-1], (claimed if believed else taken).date())
        created = None if stored is None else claimed.isoformat()
        content = decode(raw_event(created=created, enqueued_at=taken)).content
        assert isinstance(content, Message)

        after_it = accounting.charged(ledger, content.created_at.date(), Charge.DATA, limit)

        assert (after_it is not None) == (charged_days.count(day) < limit)
        if after_it is not None:
            ledger = after_it
            charged_days.append(day)
            assert ledger.quota is not None
            assert (ledger.quota.day, ledger.quota.data) == (day, charged_days.count(day))


@st.composite
def gateways(draw: st.DrawFn) -> Gateway:
    """A gateway that changed hands, at once or after a while that it belonged to nobody."""
    bounds: list[datetime | None] = [*sorted(draw(st.lists(minutes, max_size=8)))]
    if len(bounds) % 2:
        bounds.append(None)
    spans = zip(bounds[::2], bounds[1::2], strict=True)
    return gateway(*(pairing(f"user{n}", a, b) for n, (a, b) in enumerate(spans) if a))


@given(gateways(), minutes, st.none() | minutes | st.just(MANUFACTURED - timedelta(days=1)))
def test_a_message_belongs_to_the_pairing_in_force_and_to_nobody_if_it_was_stored_before(
    one: Gateway, taken: datetime, stored: datetime | None
) -> None:
    lasting = [(each, each.ended_at or datetime.max.replace(tzinfo=NOON.tzinfo)) for each in
               one.pairings]  # fmt: skip
    in_force = [each for each, end in lasting if each.started_at <= taken < end]
    begun = [each for each in one.pairings if each.started_at <= taken]
    expected: Pairing | Nobody = Nobody.NEVER_PAIRED
    if in_force:
        expected = in_force[0]
        if stored and MANUFACTURED <= stored < in_force[0].started_at:
            expected = Nobody.NOT_THEIRS
    elif begun:
        expected = Nobody.NOT_THEIRS
    believed = stored if stored and stored >= MANUFACTURED else taken

    whose = owner(one, enqueued_at=taken, created_at=believed, claimed_at=stored)

    assert whose == expected
    assert pairing_at(one, taken) == (in_force[0] if in_force else None)
    assert first_owner(one, taken) == (one.pairings[0] if one.pairings and not begun else None)


@given(st.lists(st.integers(0, 50), max_size=80), st.integers(-1, 30))
def test_what_is_delivered_again_is_dropped(numbers: list[int], position: int) -> None:
    fresh = [n for i, n in enumerate(numbers) if n > max([position, *numbers[:i]])]
    assert [each.sequence_number for each in after(map(raw_event, numbers), position)] == fresh


@given(st.lists(st.integers(0, 30), max_size=120), st.integers(1, 12))
@example(list(range(250)), MAX_LEDGERS)
def test_runs_are_contiguous_complete_and_as_long_as_a_transaction_allows(
    devices: list[int], most: int
) -> None:
    events = [data(n, n, f"X400_{device}") for n, device in enumerate(devices)]
    cut = list(runs(events, most))
    assert [event for run in cut for event in run] == events
    for run in cut:
        assert 1 <= len(decide(run, STREAM, {}, known(), LIMITS).ledgers) <= most
    for run, following in pairwise(cut):
        assert len({each.device_id for each in [*run, following[0]]}) > most


def test_a_run_of_any_length_fits_a_transaction_by_default() -> None:
    events = [data(n, n, f"X400_{n}") for n in range(1000)]
    assert max(len({each.device_id for each in run}) for run in runs(events)) == 99


def telemetry(n: int, device_id: str, *, bad: bool) -> Event:
    kind = "garbage" if bad else "data"
    return decode(raw_event(n, mid=str(n), device_id=device_id, type=kind))


def fleet(accounts: int, devices: int) -> Known:
    return known(
        *(
            gateway(pairing(f"user{account}"), device_id=f"X400_{account}_{n}")
            for account in range(accounts)
            for n in range(devices)
        )
    )


@given(
    st.integers(1, 60),
    st.integers(0, 6),
    st.lists(st.booleans(), max_size=40),
    st.integers(2, 6),
)
def test_one_account_stops_nobody_however_many_gateways_send_garbage(
    devices: int, others: int, others_say: list[bool], least: int
) -> None:
    who = known(
        *(gateway(pairing("bad"), device_id=f"X400_bad_{n}") for n in range(devices)),
        *(gateway(pairing(f"user{n}"), device_id=f"X400_other_{n}") for n in range(others)),
    )
    also_bad = least - 2  # one more, and it would be as many accounts as it takes
    events = [telemetry(n, f"X400_bad_{n}", bad=True) for n in range(devices)] * 2
    events += [
        telemetry(n, f"X400_other_{n % others}", bad=says and n % others < also_bad)
        for n, says in enumerate(others_say)
        if others
    ]
    watch = GarbageWatch(least, 100, clock=lambda: 0.0)
    for event in events:
        watch.check([event], who)
    watch.check(events, who)


@given(
    st.lists(
        st.tuples(
            st.floats(0, 40),
            st.lists(
                st.tuples(st.integers(0, 4), st.integers(0, 2), st.booleans()),
                min_size=1,
                max_size=12,
            ),
        ),
        max_size=8,
    ),
    st.integers(2, 3),
)
def test_garbage_stops_when_most_gateways_of_most_accounts_send_it(
    batches: list[tuple[float, list[tuple[int, int, bool]]]], least: int
) -> None:
    who = fleet(5, 3)
    now = 0.0
    watch = GarbageWatch(least, 100, clock=lambda: now)
    history: list[tuple[float, int, int, bool]] = []
    for seconds, batch in batches:
        now += seconds
        history += [(now, *each) for each in batch]
        latest = {(account, device): bad for at, account, device, bad in history if at > now - 60}
        says = [[bad for (a, _), bad in latest.items() if a == account] for account in range(5)]
        seen = [each for each in says if each]
        wrong = [each for each in seen if each.count(True) > each.count(False)]
        arrives = any(bad for *_, bad in batch)
        expected = arrives and len(wrong) >= least and len(wrong) > len(seen) / 2

        events = [telemetry(0, f"X400_{a}_{d}", bad=bad) for a, d, bad in batch]
        if not expected:
            watch.check(events, who)
            continue
        with pytest.raises(TooMuchGarbage, match="type 'garbage'"):
            watch.check(events, who)


def test_many_events_in_a_row_without_annotations_stop() -> None:
    bare = decode(RawEvent(0, "", NOON, b"x", annotations={}, properties={}))
    unsourced = decode(replace(raw_event(), annotations={b"iothub-connection-device-id": b"X"}))
    odd = decode(raw_event(device_id="a/b"))
    watch = GarbageWatch(5, 100, clock=lambda: 0.0)
    for _ in range(3):
        watch.check([bare] * 60, known())
        watch.check([unsourced] * 39, known())
        watch.check([odd], known())
    watch.check([bare] * 99, known())
    with pytest.raises(TooMuchGarbage, match="100 events in a row") as stopped:
        watch.check([bare], known())
    assert "route" in stopped.value.remedy


def test_the_garbage_watch_keeps_only_so_many_devices_and_none_that_nobody_owns() -> None:
    watch = GarbageWatch(5, 100, clock=lambda: 0.0)
    unowned = known(*(gateway(device_id=f"X400_{n}") for n in range(50)))
    watch.check([telemetry(n, f"X400_{n}", bad=True) for n in range(50)], unowned)
    many = fleet(WINDOW_DEVICES, 1)
    watch.check([telemetry(n, f"X400_{n}_0", bad=False) for n in range(WINDOW_DEVICES)], many)
    half = [telemetry(n, f"X400_{n}_0", bad=True) for n in range(WINDOW_DEVICES // 2)]
    watch.check(half, many)
    with pytest.raises(TooMuchGarbage, match="501 of 1000 accounts"):
        watch.check([telemetry(0, f"X400_{WINDOW_DEVICES // 2}_0", bad=True)], many)
