"""Any stream, however it is cut, repeated, interrupted and replayed, against the oracle."""

import re
from base64 import b64decode
from collections import Counter, defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import accumulate, cycle
from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.logic.effects import DEVICE_ID
from services.ingest.logic.events import RawEvent
from services.ingest.logic.plan import Limits
from shared.schemas.documents import Gateway, Ledger, Pairing
from tests.ingest.admission_oracle import Oracle, Sent
from tests.ingest.made_events import NOON, STREAM, gateway, raw_event
from tests.ingest.simulated_path import Crashed, SimulatedPath

DEVICES = [f"X400_{n}" * 4 for n in range(2)]
HUBS_OWN = {"connected": "deviceConnected", "disconnected": "deviceDisconnected"}

# Of the gateway's clock: near, on both sides of what is believed, and before it was made.
HOURS_AHEAD = (0, 0.07, 0.1, -0.1, -1, -26, -100, -29 * 24, -31 * 24, -9000 * 24)
OFFSETS = [timedelta(hours=hours) for hours in HOURS_AHEAD]

# Streams begin on a boundary of days and of pairings, and the hub's clock may step back over it.
MIDNIGHT = NOON + timedelta(hours=12)
HALF_DAY = timedelta(hours=12)


class Step(NamedTuple):
    """What happens next in the stream."""

    device: int
    repeats: int  # 0: a new message; else the last but so many of this device again
    kind: str
    numbered: bool
    seconds: int  # since the event before
    stored: timedelta | None


class Cut(NamedTuple):
    """How the next batch is taken."""

    size: int
    again: int  # so many events from before the position are delivered again
    hours_late: int
    crash_after: int | None  # effects
    rival: bool  # a process that has lost the partition does the same once more, afterwards


steps = st.builds(
    Step,
    device=st.integers(0, len(DEVICES) - 1),
    repeats=st.sampled_from((0, 0, 0, 1, 2, 3)),
    kind=st.sampled_from(
        (
            *("data", "data", "data", "data", "notification", "management", "garbage"),
            *("connected", "disconnected"),
        )
    ),
    numbered=st.sampled_from((True, True, True, False)),
    seconds=st.sampled_from((0, 2, -2, 12 * 3600)),
    stored=st.none() | st.none() | st.sampled_from(OFFSETS),
)
streams = st.integers(0, 60).flatmap(lambda n: st.lists(steps, min_size=n, max_size=n))
tenures = st.tuples(
    st.sampled_from("abc"),
    st.sampled_from((1, 1, 1, 2, 70, None)),  # half days, to its end
    st.sampled_from((0, 0, 0, 1)),  # half days, to the next
)
cuts = st.builds(
    Cut,
    size=st.integers(1, 12),
    again=st.integers(0, 8),
    hours_late=st.sampled_from((0, 12)),
    crash_after=st.none() | st.integers(0, 12),
    rival=st.booleans(),
)


@st.composite
def gateways(draw: st.DrawFn) -> list[Gateway]:
    """Each is paired with one of three accounts after another, some at once; or never."""
    made = []
    for device_id in DEVICES:
        bound = MIDNIGHT + draw(st.sampled_from((-70, -1, 0, 1, 2, 3))) * HALF_DAY
        pairings = []
        for user, half_days, gap in draw(st.lists(tenures, max_size=4)):
            end = None if half_days is None else bound + half_days * HALF_DAY
            pairings.append(Pairing(user_id=user, device_name="", started_at=bound, ended_at=end))
            if end is None:
                break
            bound = end + gap * HALF_DAY
        made.append(gateway(*pairings, device_id=device_id))
    return made


def sent(stream: Sequence[Step]) -> list[Sent]:
    """The messages of a stream: mids grow, a repeated one says again when it was stored."""
    history: dict[int, list[Sent]] = defaultdict(list)
    made: list[Sent] = []
    takens = accumulate((step.seconds for step in stream), initial=0)
    for n, (step, seconds) in enumerate(zip(stream, takens, strict=False)):
        taken = MIDNIGHT + timedelta(seconds=seconds)
        mine = history[step.device]
        if 0 < step.repeats <= len(mine):
            first = mine[-step.repeats]
            stored = None if first.stored is None else first.taken + first.stored - taken
            made.append(replace(first, sequence_number=n, taken=taken, stored=stored))
            continue
        numbered = step.numbered and step.kind not in HUBS_OWN
        mid = len(mine) if numbered else None  # another gateway has the same
        mine.append(Sent(n, DEVICES[step.device], step.kind, mid, taken, step.stored))
        made.append(mine[-1])
    return made


def raw(message: Sent) -> RawEvent:
    if message.kind in HUBS_OWN:
        return raw_event(
            message.sequence_number,
            b"{}",
            device_id=message.device_id,
            source="deviceConnectionStateEvents",
            enqueued_at=message.taken,
            opType=HUBS_OWN[message.kind],
        )
    body = message.text
    if message.kind == "management":
        body = f'{{"event": "started", "detail": "{message.text}"}}'
    created = None if message.stored is None else (message.taken + message.stored).isoformat()
    return raw_event(
        message.sequence_number,
        body.encode(),
        device_id=message.device_id,
        mid=None if message.mid is None else str(message.mid),
        created=created,
        enqueued_at=message.taken,
        type=message.kind,
        level="2",
    )


def read(
    messages: Sequence[Sent], all_cuts: Sequence[Cut], owners: list[Gateway], limits: Limits
) -> SimulatedPath:
    """Everything read to its end, with pairings that become known as time goes on."""
    path = SimulatedPath(owners, limits)
    events = [raw(each) for each in messages]
    now = MIDNIGHT
    crashed = False
    for cut in cycle(all_cuts):
        begin = path.position + 1
        if begin >= len(events):
            break
        batch = events[max(0, begin - cut.again) : begin + cut.size]
        hub = max(each.taken for each in messages[: begin + cut.size])
        now = max(now, hub + timedelta(hours=cut.hours_late))
        rival = path.rival()
        try:
            crash = None if crashed else cut.crash_after
            path.process(batch, now, 10**9 if crash is None else crash)
            crashed = False
        except Crashed:
            crashed = True
        if cut.rival:
            with suppress(Crashed):
                rival.process(batch, now)
    path.end(NOON + timedelta(days=400))
    return path


@settings(max_examples=300, deadline=None)
@given(
    gateways(),
    streams,
    st.lists(cuts, min_size=1, max_size=8),
    st.integers(1, 3),
    st.integers(1, 2),
)
def test_every_message_becomes_what_the_design_says_whatever_happens_on_the_way(
    owners: list[Gateway], stream: list[Step], all_cuts: list[Cut], quota: int, cap: int
) -> None:
    messages = sent(stream)
    oracle = Oracle(owners, quota, cap, connections=cap)
    for message in messages:
        oracle.take(message)
    limits = Limits(data=quota, notifications=quota, parked=cap, connections=cap)
    path = read(messages, all_cuts, owners, limits)

    assert queues(path) == oracle.queues
    assert notifications(path) == oracle.notifications
    assert warnings(path) == oracle.warnings
    assert timeline(path) == oracle.timeline
    assert connections(path) == oracle.connections
    assert parked(path) == oracle.parked
    assert path.dropped == oracle.dropped
    for one in owners:
        assert statistics(path, one) == oracle.statistics(one.device_id)
        ledger = path.ledgers.get(one.device_id, Ledger(id="", partition=STREAM))
        assert ledger.highest_mid == oracle.devices[one.device_id].highest_mid


def queues(path: SimulatedPath) -> dict[tuple[str, str], list[str]]:
    found = defaultdict(list)
    for user_id, queue in path.queues.items():
        for message in queue.values():
            found[user_id, message.properties[DEVICE_ID]].append(message.body.decode())
    return found


def notifications(path: SimulatedPath) -> set[tuple[str, str, str]]:
    return {
        (each.user_id, each.device_id, each.text)
        for each in path.notifications.values()
        if not each.text.startswith("Quota")
    }


def warnings(path: SimulatedPath) -> set[tuple[str, str, date]]:
    found = set()
    for each in path.notifications.values():
        until = re.search(r"refused until (\S+) 00:00 UTC", each.text)
        if until:
            day = date.fromisoformat(until[1]) - timedelta(days=1)
            assert (each.user_id, each.device_id, day) not in found
            found.add((each.user_id, each.device_id, day))
    return found


def timeline(path: SimulatedPath) -> set[tuple[str, str, str]]:
    found = set()
    entries = [each for each in path.timeline.values() if each.event not in HUBS_OWN]
    for each in entries:
        limit = re.search(r"o[nf] (\S+) UTC", each.detail)
        text = f"{each.event} {limit[1]}" if limit else each.detail
        found.add((each.user_id, each.device_id, text))
    assert len(found) == len(entries)
    return found


def connections(path: SimulatedPath) -> Counter[tuple[str, str, str, datetime]]:
    return Counter(
        (each.user_id, each.device_id, each.event, each.enqueued_at)
        for each in path.timeline.values()
        if each.event in HUBS_OWN
    )


def parked(path: SimulatedPath) -> set[tuple[str, str, str, str]]:
    """Without what was parked by an attempt that failed, and delivered by the next."""
    kept = [
        each
        for each in path.parked.values()
        if each.reason != "no_owner"
        or each.sequence_number > path.ledgers[each.device_id].handed_over
    ]
    found: set[tuple[str, str, str, str]] = {
        (each.holder, each.device_id, each.reason, b64decode(each.body).decode()) for each in kept
    }
    assert len(found) == len(kept)
    return found


def statistics(path: SimulatedPath, one: Gateway) -> tuple[int, int, dict[date, tuple[int, int]]]:
    ledger = path.ledgers.get(one.device_id, Ledger(id="", partition=STREAM))
    days = {day: (count.messages, count.bytes) for day, count in ledger.days.items()}
    return ledger.messages, ledger.bytes, days
