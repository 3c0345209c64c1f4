"""The statistics' days: what a ledger of any age says today."""

from datetime import UTC, date, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from services.api.logic.statistics import device_stats
from shared.schemas.documents import DayCount, DeviceDocument, Ledger

PAIRED_AT = datetime(2026, 1, 1, tzinfo=UTC)
DEVICE = DeviceDocument(
    id="X400_0",
    device_id="X400_0",
    user_id="u1",
    device_key="",
    name="Device",
    stat_device_id="hub:0:X400_0",
    paired_at=PAIRED_AT,
)
DAYS = st.dates(date(2026, 1, 1), date(2026, 12, 31))
COUNTS = st.builds(DayCount, messages=st.integers(0, 10_000), bytes=st.integers(0, 10_000_000))


@given(today=DAYS, days=st.dictionaries(DAYS, COUNTS, max_size=8), back=st.integers(0, 7))
def test_each_day_is_where_its_date_is(today: date, days: dict[date, DayCount], back: int) -> None:
    ledger = Ledger(id="X400_0", partition="hub/0", owner=DEVICE.owner, messages=5, days=days)
    stats = device_stats(DEVICE, ledger, today).model_dump()
    suffix = "current" if back == 0 else str(back)
    expected = days.get(today - timedelta(days=back), DayCount())
    assert stats[f"msg_{suffix}"] == expected.messages
    assert stats[f"bytes_{suffix}"] == expected.bytes
    assert stats["msg_tot"] == 5


@given(today=DAYS, later=st.integers(1, 30), counts=COUNTS)
def test_counts_move_back_a_day_at_midnight_while_nothing_arrives(
    today: date, later: int, counts: DayCount
) -> None:
    ledger = Ledger(id="X400_0", partition="hub/0", owner=DEVICE.owner, days={today: counts})
    stats = device_stats(DEVICE, ledger, today + timedelta(days=later)).model_dump()
    assert stats["msg_current"] == 0
    shown = {back: stats[f"msg_{back}"] for back in range(1, 8) if stats[f"msg_{back}"]}
    assert shown == ({later: counts.messages} if later <= 7 and counts.messages else {})


def test_another_pairings_counts_are_not_shown() -> None:
    former = DEVICE.model_copy(update={"paired_at": PAIRED_AT - timedelta(days=9)})
    ledger = Ledger(id="X400_0", partition="hub/0", owner=former.owner, messages=5, bytes=50)
    for given_ledger in (ledger, None):
        stats = device_stats(DEVICE, given_ledger, PAIRED_AT.date())
        assert (stats.id, stats.stat_of_device_id) == ("hub:0:X400_0", "X400_0")
        assert (stats.msg_tot, stats.bytes_tot) == (0, 0)
