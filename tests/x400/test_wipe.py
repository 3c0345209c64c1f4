"""Wiping for a new owner: once for each pairing, whichever way the order comes, kills included."""

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.x400.gateways import DEVICE_ID, running, until
from tests.x400.local_hub import Hub
from x400.gateway import Gateway
from x400.inbox import Inbox
from x400.journal import Fate, Record
from x400.messages import Kind, data
from x400.outbox import Outbox
from x400.settings import GatewaySettings
from x400.store import Store
from x400.wipe import Wipe, parse_order

START = datetime(2026, 3, 14, 12, tzinfo=UTC)


class Memory:
    """A gateway's store with what wipes it; its clock stands until it is moved."""

    def __init__(self, path: Path, now: datetime = START) -> None:
        self.now = now
        self.records: list[Record] = []
        self.store = Store(path, "normal")
        limits = {Kind.DATA: 1000}
        self.outbox = Outbox(self.store, limits, 10**6, self.clock, self.records.append)
        self.inbox = Inbox(self.store, lambda: None, lambda _: None, self.clock)
        self.wipe = Wipe(self.store, self.outbox, self.inbox, self.clock)

    def clock(self) -> float:
        return self.now.timestamp()

    def bodies(self) -> list[bytes]:
        return [message.draft.body for message in self.outbox.after(0, 100)]

    def wiped(self) -> list[bytes]:
        return [r.message.draft.body for r in self.records if r.fate is Fate.WIPED]


class KilledError(Exception):
    """The process ended here."""


class Broken(Inbox):
    """Ends the process in the middle of a wipe."""

    def __init__(self, memory: Memory) -> None:
        super().__init__(memory.store, lambda: None, lambda _: None, memory.clock)

    def wipe(self, db: sqlite3.Connection, before_ms: float | None = None) -> int:
        super().wipe(db, before_ms)
        raise KilledError


def test_an_order_is_carried_out_once_and_never_an_older_one(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "a.db")
    memory.outbox.add(data(b"former"))
    pairing = START + timedelta(seconds=1)
    memory.now = START + timedelta(seconds=2)
    assert memory.wipe.order(pairing) == 1
    memory.outbox.add(data(b"new"))
    assert memory.wipe.order(pairing) is None
    assert memory.wipe.order(pairing - timedelta(hours=1)) is None
    memory.store.close()
    again = Memory(tmp_path / "a.db", memory.now)
    assert again.wipe.order(pairing) is None
    assert again.bodies() == [b"new"]
    assert again.wipe.order(memory.now + timedelta(seconds=1)) == 1
    assert again.wiped() == [b"new"]


def test_what_was_stored_since_the_pairing_stays_however_late_the_order(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "a.db")
    memory.outbox.add(data(b"former"))
    memory.now += timedelta(days=400)
    memory.outbox.add(data(b"by a clock that was ahead"))
    memory.now = START + timedelta(hours=1)
    memory.outbox.add(data(b"new"))
    memory.now += timedelta(hours=1)
    assert memory.wipe.order(START + timedelta(minutes=30)) == 2
    assert memory.bodies() == [b"new"]
    assert memory.outbox.pending() == 1
    assert memory.wipe.all() == 1
    assert memory.outbox.pending() == 0


def test_a_wipe_and_the_note_of_it_are_one(tmp_path: Path) -> None:
    """A kill before the commit leaves both undone."""
    memory = Memory(tmp_path / "a.db")
    memory.outbox.add(data(b"former"))
    order = START + timedelta(seconds=1)
    broken = Wipe(memory.store, memory.outbox, Broken(memory), memory.clock)
    with pytest.raises(KilledError):
        broken.order(order)
    memory.store.close()
    again = Memory(tmp_path / "a.db", memory.now)
    assert again.bodies() == [b"former"]
    assert again.wipe.order(order) == 1
    assert again.bodies() == []


def test_a_store_of_before_is_taken_over(tmp_path: Path) -> None:
    db = sqlite3.connect(tmp_path / "a.db")
    db.execute(
        "CREATE TABLE user_message (seq INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB NOT NULL)"
    )
    db.execute("INSERT INTO user_message (body) VALUES (x'00')")
    db.commit()
    db.close()
    memory = Memory(tmp_path / "a.db")
    assert memory.wipe.order(START) == 1


@pytest.mark.parametrize("value", [None, True, 5, "", "yesterday", "2026-03-14T12:00:00", {}])
def test_what_is_no_order(value: object) -> None:
    assert parse_order(value) is None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")


async def by_method(hub: Hub, order: str) -> None:
    answer = await hub.invoke(DEVICE_ID, "reboot", json.dumps({"wipe": order}).encode())
    assert answer.status == 200


async def by_twin(hub: Hub, order: str) -> None:
    hub.desire(DEVICE_ID, {"wipe": order})


@pytest.mark.parametrize("first", [by_method, by_twin])
async def test_a_gateway_that_is_online_wipes_and_resets_at_the_first_order(
    hub: Hub, gateway: Gateway, first: Callable[[Hub, str], asyncio.Future[None]]
) -> None:
    await gateway.until_delivered()
    hub.send(DEVICE_ID, b"for the former owner", "x")
    await gateway.until_user_message()
    order = now()
    await first(hub, order)
    await until(lambda: gateway.resets == 1)
    await gateway.until_connected()
    assert not gateway.app.userMessageAvailable()
    gateway.app.sendMessage("of the new owner")
    await by_twin(hub, order)
    await gateway.until_delivered()
    assert hub.bodies() == [b"of the new owner"]
    assert gateway.resets == 1
    events = [json.loads(body) for body in hub.bodies("management")]
    assert events[-1]["event"] == "rebooted"
    assert events[-1]["detail"].endswith("1 messages wiped")
    await by_method(hub, order)  # a repetition restarts the gateway, and wipes nothing
    gateway.app.sendMessage("of the new owner, too")
    await until(lambda: gateway.resets == 2)
    await gateway.until_delivered()
    assert hub.bodies()[-1] == b"of the new owner, too"


@pytest.mark.parametrize("ahead", [timedelta(), timedelta(days=1), timedelta(days=-60)])
async def test_a_gateway_that_was_offline_wipes_before_it_delivers_and_never_again(
    hub: Hub, settings: GatewaySettings, ahead: timedelta
) -> None:
    """Whatever its clock said when it stored: from that ingest could not tell whose it is."""
    records: list[Record] = []
    skew = 0.0

    def clock() -> float:
        return time.time() + skew

    async with running(Gateway(settings, on_record=records.append, clock=clock)) as gateway:
        await gateway.until_delivered()
        gateway.unplug()
        await hub.stop()
        skew = ahead.total_seconds()
        gateway.app.sendMessage("of the former owner")
        skew = 0.0
        await hub.start()
        await by_twin(hub, now())
        await asyncio.sleep(0.01)
        gateway.app.sendMessage("of the new owner, stored offline")
        gateway.plug()
        await until(lambda: gateway.resets == 1)
        await gateway.until_delivered()
        gateway.unplug()
        gateway.plug()
        gateway.app.sendMessage("later")
        await gateway.until_delivered()
        assert gateway.resets == 1
    for _ in range(2):
        async with running(Gateway(settings, on_record=records.append)) as gateway:
            gateway.app.sendMessage("of a later life")
            await gateway.until_delivered()
            assert gateway.resets == 0
    assert (
        hub.bodies() == [b"of the new owner, stored offline", b"later"] + [b"of a later life"] * 2
    )
    wiped = [r.message.draft for r in records if r.fate is Fate.WIPED]
    assert [draft.body for draft in wiped if draft.kind is Kind.DATA] == [b"of the former owner"]


async def test_a_gateway_that_is_started_after_its_pairing_loses_nothing(
    hub: Hub, settings: GatewaySettings
) -> None:
    await by_twin(hub, now())
    async with running(Gateway(settings)) as gateway:
        gateway.app.sendMessage("first")
        await gateway.until_delivered()
        await until(lambda: gateway.core.twin.desired.get("wipe") is not None)
        gateway.app.sendMessage("second")
        await gateway.until_delivered()
        assert gateway.resets == 0
    assert hub.bodies() == [b"first", b"second"]


async def test_a_gateway_that_is_killed_at_the_order_neither_forgets_nor_repeats_it(
    hub: Hub, settings: GatewaySettings
) -> None:
    """Killed at points a millisecond apart, from before the order is known to after the wipe."""
    for delay in range(12):
        async with running(Gateway(settings)) as gateway:
            await gateway.until_connected()
            await gateway.until_delivered()
            gateway.app.sendMessage("in flight")
            await by_twin(hub, now())
            await asyncio.sleep(delay / 1000)
            await gateway.kill()
        taken = len(hub.bodies())
        async with running(Gateway(settings)) as gateway:
            body = f"of the new owner {delay}"
            gateway.app.sendMessage(body)
            await hub.until_last(body.encode())
        assert len(hub.bodies()) <= taken + 2
