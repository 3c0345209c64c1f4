"""The message store: quota, sizes, ids, limits, and what SIGKILL leaves."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from x400 import messages, quota
from x400.errors import ErrorCode, IomoteError
from x400.journal import Record
from x400.messages import Draft, Event, Kind
from x400.outbox import MANAGEMENT_PENDING, Outbox
from x400.store import Store, StoreInUseError

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC).timestamp()
DAY = 86400.0
MEGABYTE = 1024 * 1024


class Clock:
    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Box:
    """An outbox with its store and clock."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        data: int = 100,
        room: int = MEGABYTE,
    ) -> None:
        self.store = Store(path, "normal")
        limits = {Kind.DATA: data, Kind.NOTIFICATION: 100}
        self.records: list[Record] = []
        self.outbox = Outbox(self.store, limits, room, clock, self.records.append)

    def refusal(self, draft: Draft) -> ErrorCode:
        with pytest.raises(IomoteError) as refused:
            self.outbox.add(draft)
        return refused.value.code

    def events(self) -> list[str]:
        drafts = [stored.draft for stored in self.outbox.after(0, 10_000)]
        return [json.loads(d.body)["event"] for d in drafts if d.kind is Kind.MANAGEMENT]


def test_the_quota_is_a_days_and_each_kind_has_its_own(tmp_path: Path) -> None:
    clock = Clock()
    box = Box(tmp_path / "a.db", clock)
    for _ in range(100):
        box.outbox.add(messages.data(b"x"))
    assert box.refusal(messages.data(b"x")) == ErrorCode.IOMOTE_ERR_MSG_LIMIT
    assert box.events() == ["quota_reached"]
    for _ in range(100):
        box.outbox.add(messages.notification(1, b"x"))
    assert box.refusal(messages.notification(1, b"x")) == ErrorCode.IOMOTE_ERR_MSG_LIMIT
    clock.now += DAY / 2
    assert box.outbox.left(Kind.DATA) == 100
    box.outbox.add(messages.data(b"of the next day"))


def test_the_quota_survives_a_restart(tmp_path: Path) -> None:
    box = Box(tmp_path / "a.db", Clock(), data=2)
    box.outbox.add(messages.data(b"x"))
    box.store.close()
    again = Box(tmp_path / "a.db", Clock(), data=2)
    again.outbox.add(messages.data(b"x"))
    assert again.refusal(messages.data(b"x")) == ErrorCode.IOMOTE_ERR_MSG_LIMIT


def test_delivering_gives_no_quota_back(tmp_path: Path) -> None:
    box = Box(tmp_path / "a.db", Clock(), data=1)
    stored = box.outbox.add(messages.data(b"x"))
    box.outbox.remove([stored.mid])
    assert box.outbox.pending_of_app() == 0
    assert box.refusal(messages.data(b"x")) == ErrorCode.IOMOTE_ERR_MSG_LIMIT


@given(st.lists(st.integers(min_value=-25, max_value=25), min_size=1, max_size=30))
def test_a_clock_set_back_buys_no_messages(days: list[int]) -> None:
    """However the clock jumps within a month, no day ever counts more than its quota."""
    limit = 3
    counts: dict[date, int] = {}
    today = date(2026, 6, 15)
    for jump in days:
        today = date(2026, 6, 15) + timedelta(days=jump)
        before = quota.used(counts, today)
        while quota.used(counts, today) < limit:
            counts[today] = quota.used(counts, today) + 1
        assert quota.used(counts, today) >= before
        assert all(n <= limit for n in counts.values())
    highest = max(counts)
    assert quota.used(counts, highest - timedelta(days=20)) >= counts[highest]


def test_a_clock_that_was_far_ahead_does_not_block_for_years() -> None:
    assert quota.used({date(2099, 1, 1): 100}, date(2026, 1, 1)) == 0


@given(st.floats(min_value=0, max_value=4e9))
def test_midnight_is_less_than_a_day_away(now: float) -> None:
    left = quota.seconds_left(now)
    assert 0 < left <= DAY
    assert quota.utc_day(now + left + 0.001) == quota.utc_day(now) + timedelta(days=1)


@settings(max_examples=25, deadline=None)
@given(jumps=st.lists(st.integers(min_value=-(10**6), max_value=10**6), max_size=20))
def test_ids_only_grow(tmp_path_factory: pytest.TempPathFactory, jumps: list[int]) -> None:
    clock = Clock()
    box = Box(tmp_path_factory.mktemp("ids") / "a.db", clock, data=1000)
    last = 0
    for number, jump in enumerate(jumps):
        clock.now += jump
        if number % 5 == 4:
            with box.store.transaction() as db:
                wiped = box.outbox.wipe(db)
            box.outbox.forget(wiped)
            last = max(last, int(clock.now * 1000))
        mid = box.outbox.add(messages.data(b"x")).mid
        assert mid > last
        last = mid
        if number % 3 == 0:
            box.outbox.remove([mid])
    box.store.close()


@pytest.mark.parametrize(
    ("size", "code"),
    [
        (0, ErrorCode.IOMOTE_ERR_PAYLOAD),
        (3751, ErrorCode.IOMOTE_ERR_MSG_SIZE),
        (70_000, ErrorCode.IOMOTE_ERR_MSG_SIZE),
    ],
)
def test_sizes_of_data_messages(size: int, code: ErrorCode) -> None:
    with pytest.raises(IomoteError) as refused:
        messages.data(b"x" * size)
    assert refused.value.code == code
    assert messages.data(b"x").body
    assert len(messages.data(b"x" * 3750).body) == 3750


def test_sizes_and_levels_of_notifications() -> None:
    assert messages.notification(3, b"x" * 100).level == 3
    for level, body, code in (
        (1, b"x" * 101, ErrorCode.IOMOTE_ERR_MSG_SIZE),
        (1, b"", ErrorCode.IOMOTE_ERR_PAYLOAD),
        (0, b"x", ErrorCode.IOMOTE_ERR_DATA),
        (4, b"x", ErrorCode.IOMOTE_ERR_DATA),
    ):
        with pytest.raises(IomoteError) as refused:
            messages.notification(level, body)
        assert refused.value.code == code


def test_a_full_storage_is_told_once_and_recovers(tmp_path: Path) -> None:
    box = Box(tmp_path / "a.db", Clock(), room=5000)
    first = box.outbox.add(messages.data(b"x" * 3000))
    for _ in range(3):
        assert box.refusal(messages.data(b"x" * 3000)) == ErrorCode.IOMOTE_ERR_STORAGE_FULL
    assert box.events() == ["storage_full"]
    assert box.outbox.left(Kind.DATA) == 99
    box.outbox.remove([first.mid])
    box.outbox.add(messages.data(b"x" * 3000))
    assert box.refusal(messages.data(b"x" * 3000)) == ErrorCode.IOMOTE_ERR_STORAGE_FULL
    assert box.events() == ["storage_full", "storage_full"]


def test_a_failing_write_counts_nothing(tmp_path: Path) -> None:
    box = Box(tmp_path / "a.db", Clock())
    box.store._db.execute("PRAGMA query_only=ON")
    assert box.refusal(messages.data(b"x")) == ErrorCode.IOMOTE_ERR_STORAGE_WR
    box.store._db.execute("PRAGMA query_only=OFF")
    assert box.outbox.left(Kind.DATA) == 100
    box.outbox.add(messages.data(b"x"))


def test_a_full_disk_is_told_apart(tmp_path: Path) -> None:
    box = Box(tmp_path / "a.db", Clock())
    pages = box.store.read("PRAGMA page_count")[0][0]
    box.store._db.execute(f"PRAGMA max_page_count={pages}")
    codes = set()
    for _ in range(50):
        try:
            box.outbox.add(messages.data(b"x" * 3750))
        except IomoteError as error:
            codes.add(error.code)
    assert codes == {ErrorCode.IOMOTE_ERR_STORAGE_FULL}


def test_events_are_bounded(tmp_path: Path) -> None:
    box = Box(tmp_path / "a.db", Clock())
    kept = [box.outbox.add_event(Event.NETWORK_CHANGED, "x") for _ in range(MANAGEMENT_PENDING + 5)]
    assert kept.count(True) == MANAGEMENT_PENDING
    assert box.outbox.left(Kind.DATA) == 100


def test_a_store_belongs_to_one_gateway(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.db")
    with pytest.raises(StoreInUseError, match="already"):
        Store(tmp_path / "a.db")
    store.close()
    Store(tmp_path / "a.db").close()


def test_the_file_is_for_its_owner_only(tmp_path: Path) -> None:
    Store(tmp_path / "new" / "a.db").close()
    assert (tmp_path / "new" / "a.db").stat().st_mode & 0o077 == 0


WRITER = """
import sys
from pathlib import Path
from x400 import messages
from x400.messages import Kind
from x400.outbox import Outbox
from x400.store import Store
import time

limits = {Kind.DATA: 10**9, Kind.NOTIFICATION: 0}
outbox = Outbox(Store(Path(sys.argv[1])), limits, 10**9, time.time, lambda _: None)
number = 0
while True:
    stored = outbox.add(messages.data(b"%d" % number))
    print(stored.mid, number, flush=True)
    number += 1
"""


def test_killed_while_it_writes_it_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    acknowledged: list[tuple[int, str]] = []
    for lines in (7, 60, 150):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            seen = [writer.stdout.readline() for _ in range(lines)]
            os.kill(writer.pid, signal.SIGKILL)
            seen += [line for line in writer.stdout if line.endswith("\n")]
        acknowledged += [(int(mid), number) for mid, number in map(str.split, seen)]
    assert len(acknowledged) >= 217
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        kept = {mid: body.decode() for mid, body in db.execute("SELECT mid, body FROM message")}
    for mid, number in acknowledged:
        assert kept[mid] == number
    mids = [mid for mid, _ in acknowledged]
    assert mids == sorted(set(mids))
    # At most the one that was stored and not yet told, for each kill.
    assert len(kept) - len(acknowledged) <= 3
