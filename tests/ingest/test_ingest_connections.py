"""A gateway's connections in its timeline."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from services.ingest.logic.admission import decide
from services.ingest.logic.decode import decode
from services.ingest.logic.events import Event
from services.ingest.logic.plan import Known, Limits
from shared.schemas.documents import Ledger, TimelineEntry
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
PAIRED = known(gateway(pairing()))


def told(
    events: Sequence[Event], cuts: Sequence[int] = (), who: Known = PAIRED, limits: Limits = LIMITS
) -> tuple[list[TimelineEntry], dict[str, Ledger]]:
    """The timeline after events that are committed in runs, cut at some indices."""
    ledgers: dict[str, Ledger] = {}
    entries = []
    for start, end in pairwise([0, *cuts, len(events)]):
        plan = decide(events[start:end], STREAM, ledgers, who, limits)
        ledgers.update(plan.ledgers)
        entries += plan.timeline
    return entries, ledgers


def connection(n: int, kind: str, minutes: int = 0) -> Event:
    return decode(
        raw_event(
            n,
            b"{}",
            source="deviceConnectionStateEvents",
            enqueued_at=NOON + timedelta(minutes=minutes),
            opType=kind,
        )
    )


def test_changes_of_the_connection_are_told_each_once_whatever_the_device_says_meanwhile() -> None:
    events = [
        connection(0, "deviceConnected"),
        data(1, 1),
        connection(2, "deviceConnected"),  # the hub says it at least once
        connection(3, "deviceDisconnected"),
        data(4, 2),  # was under way
        connection(5, "deviceDisconnected"),
        connection(6, "deviceConnected"),
    ]
    for cuts in ([], [1], [3, 5]):
        entries, _ = told(events, cuts)
        assert [each.event for each in entries] == ["connected", "disconnected", "connected"]
        assert len({each.id for each in entries}) == 3


def test_a_gateway_that_flaps_is_told_of_so_often_a_day() -> None:
    kinds = ("deviceConnected", "deviceDisconnected")
    events = [connection(n, kinds[n % 2]) for n in range(20)]
    events.append(connection(20, kinds[0], minutes=24 * 60))
    entries, ledgers = told(events, limits=replace(LIMITS, connections=3))
    assert [each.event for each in entries] == [
        *("connected", "disconnected", "connected", "flapping"),
        "connected",  # the next day
    ]
    assert ledgers[DEVICE].messages == 0


def test_connections_are_told_to_the_owner_of_that_moment_only() -> None:
    resold = known(
        gateway(
            pairing("bob", ended_at=NOON + timedelta(minutes=1)),
            pairing("alice", NOON + timedelta(minutes=3)),
        )
    )
    events = [
        connection(0, "deviceConnected", minutes=0),
        connection(1, "deviceDisconnected", minutes=2),
        connection(2, "deviceConnected", minutes=4),
    ]
    entries, _ = told(events, who=resold)
    assert [(each.user_id, each.event) for each in entries] == [
        ("bob", "connected"),
        ("alice", "connected"),
    ]
    assert told(events, who=known(gateway())) == ([], {})


def test_what_flapped_for_a_former_owner_hides_nothing_from_the_next() -> None:
    resold = known(
        gateway(
            pairing("bob", ended_at=NOON + timedelta(minutes=4)),
            pairing("bob", NOON + timedelta(minutes=4), ended_at=NOON + timedelta(minutes=8)),
            pairing("alice", NOON + timedelta(minutes=8)),
        )
    )
    kinds = ("deviceConnected", "deviceDisconnected")
    events = [connection(n, kinds[n % 2], minutes=n) for n in range(12)]
    for cuts in ([], [5], [8]):
        entries, _ = told(events, cuts, resold, replace(LIMITS, connections=2))
        per_pairing = ["connected", "disconnected", "flapping"]
        assert [each.event for each in entries] == per_pairing * 3
        assert [each.user_id for each in entries] == ["bob"] * 6 + ["alice"] * 3
        assert len({each.id for each in entries}) == len(entries)


def test_a_deleted_identity_is_a_disconnection() -> None:
    deleted = raw_event(1, b"{}", source="deviceLifecycleEvents", opType="deleteDeviceIdentity")
    entries, _ = told([connection(0, "deviceConnected"), decode(deleted)])
    assert [each.event for each in entries] == ["connected", "disconnected"]
    assert "no longer" in entries[1].detail
