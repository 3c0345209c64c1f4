"""Pairing and unpairing while a virtual gateway sends, and while it is offline with what it stored.

The gateway tells when it stored each message and when the hub acknowledged it; the hub took it in
between. So of most messages it is certain whose they are, and of the rest, who may have them. One
that the hub takes while a pairing's start or end is being written may be judged either way.
"""

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import SecretStr

from shared.schemas.documents import Pairing
from tests.ingest.local_platform import Owner, Platform, eventually, properties_of, receive
from tests.ingest.mqtt_gateway import Gateway as Identity
from x400.gateway import Gateway, GatewayOffError
from x400.journal import Fate, Record
from x400.messages import Kind
from x400.settings import GatewaySettings


@dataclass(frozen=True)
class Interval:
    """A pairing: the moments that its document names, and when these were known to be written.

    All are Unix milliseconds; what has not happened is infinitely late.
    """

    user_id: str
    started: float
    start_written: float
    ended: float
    end_written: float


@dataclass
class Seen:
    """What a gateway tells of one message; times are Unix milliseconds."""

    stored: int
    acknowledged: int | None = None
    wiped: bool = False

    def is_surely_in(self, interval: Interval) -> bool:
        return (
            self.acknowledged is not None
            and interval.start_written <= self.stored
            and self.acknowledged < interval.ended
        )

    def may_be_in(self, interval: Interval) -> bool:
        return interval.started <= self.stored < interval.end_written


class Witness:
    """A virtual gateway that sends, and what it tells of its messages, by mid."""

    def __init__(self, platform: Platform, identity: Identity, state: Path) -> None:
        self.identity = identity
        self.seen: dict[int, Seen] = {}
        settings = GatewaySettings(
            connection_string=SecretStr(identity.connection_string),
            state=state,
            plain=True,
            port=platform.stack.settings.mqtt_port,
            backoff_initial=0.05,
            backoff_maximum=0.2,
            network_delay=0.02,
            durability="normal",
        )
        self.gateway = Gateway(settings, on_record=self._note)

    def send(self, count: int = 1) -> None:
        """Store messages, unless the gateway is in the middle of a reset."""
        for _ in range(count):
            with suppress(GatewayOffError):
                self.gateway.app.sendMessage(f"message {len(self.seen)}")

    @asynccontextmanager
    async def sending(self) -> AsyncIterator[None]:
        """Send all the time, less than a day's quota in the test's few seconds."""

        async def chat() -> None:
            while len(self.seen) < 95:
                self.send()
                await asyncio.sleep(0.03)

        chatting = asyncio.create_task(chat())
        try:
            yield
        finally:
            chatting.cancel()
            await asyncio.wait({chatting})

    async def delivered(self) -> None:
        """Wait until nothing waits in the gateway, resets included."""
        for _ in range(10):
            with suppress(GatewayOffError):
                await self.gateway.until_connected(20)
                await self.gateway.until_delivered(20)
                return
            await asyncio.sleep(0.1)

    def _note(self, record: Record) -> None:
        mid = record.message.mid
        if record.message.draft.kind is not Kind.DATA:
            return
        match record.fate:
            case Fate.STORED:
                self.seen[mid] = Seen(record.message.created_ms)
            case Fate.ACKNOWLEDGED:
                self.seen[mid].acknowledged = self.seen[mid].acknowledged or record.at_ms
            case Fate.WIPED:
                self.seen[mid].wiped = True


@asynccontextmanager
async def running(platform: Platform, state: Path) -> AsyncIterator[Witness]:
    witness = Witness(platform, await platform.gateway(), state)
    try:
        yield witness
    finally:
        await witness.gateway.kill()


async def check(platform: Platform, witness: Witness, *owners: Owner) -> dict[str, list[int]]:
    """What each account got, by mid: all that is surely its own, nothing that is not, in order."""
    found = await platform.resources.gateways.get(witness.identity.device_id)
    assert found is not None
    intervals = _intervals(found[0].pairings, platform.written[witness.identity.device_id])
    new = [each for each in witness.seen.values() if each.stored >= intervals[-1].started]
    assert not any(each.wiped or each.acknowledged is None for each in new)
    await eventually(lambda: _all_judged(platform, witness, intervals[-1].user_id))
    taken: dict[str, list[int]] = {}
    for owner in owners:
        own = [each for each in intervals if each.user_id == owner.user_id]
        sure = {m for m, s in witness.seen.items() if any(s.is_surely_in(i) for i in own)}
        maybe = {m for m, s in witness.seen.items() if any(s.may_be_in(i) for i in own)}
        messages = await receive(owner, await platform.waiting(owner))
        mids = [int(properties_of(each)["mid"]) for each in messages]
        assert mids == sorted(set(mids))
        assert sure <= set(mids) <= maybe
        assert not [mid for i in own for mid in _gaps(witness, i, mids)]
        taken[owner.user_id] = mids
    assert not any(set(a) & set(b) for a, b in itertools.combinations(taken.values(), 2))
    return taken


def _gaps(witness: Witness, interval: Interval, taken: Sequence[int]) -> list[int]:
    """What the hub took between two messages that an owner got of one pairing, and is missing.

    It is the owner's, too, be a write under way or not: ingest never forgets what it has read of
    a pairing.
    """
    possible = [
        mid
        for mid, seen in sorted(witness.seen.items())
        if seen.acknowledged is not None and seen.may_be_in(interval)
    ]
    got = [place for place, mid in enumerate(possible) if mid in taken]
    between = possible[got[0] : got[-1]] if got else []
    return [mid for mid in between if mid not in taken]


def _intervals(pairings: Sequence[Pairing], written: Sequence[float]) -> list[Interval]:
    """`written` is when each write of the gateway's document was acknowledged, in seconds."""

    def known(moment: datetime | None) -> float:
        """The first write that ended after a moment was the one that named it."""
        after = [each * 1000 for each in written if each * 1000 >= _ms(moment)]
        return min(after, default=math.inf)

    return [
        Interval(
            each.user_id,
            _ms(each.started_at),
            known(each.started_at),
            _ms(each.ended_at),
            known(each.ended_at),
        )
        for each in pairings
    ]


async def _all_judged(platform: Platform, witness: Witness, user_id: str) -> bool:
    """Whether ingest has committed the last message that the hub acknowledged.

    Then all that it forwards is on the queues.
    """
    found = await platform.resources.devices.get(user_id, witness.identity.device_id)
    assert found is not None
    ledger = await platform.resources.ledgers.get(found.stat_device_id)
    last = max(mid for mid, seen in witness.seen.items() if seen.acknowledged is not None)
    return ledger is not None and ledger.highest_mid >= last


async def test_pairing_changes_while_messages_are_in_flight(
    platform: Platform, tmp_path: Path
) -> None:
    alice, bob = await platform.owner(), await platform.owner()
    async with running(platform, tmp_path) as witness:
        gateway = witness.identity
        await platform.pair(gateway, alice)
        await witness.gateway.start()
        await witness.gateway.until_connected()
        async with witness.sending():
            await asyncio.sleep(0.4)
            await platform.unpair(gateway, alice)
            await asyncio.sleep(0.2)
            await platform.pair(gateway, bob)
            await asyncio.sleep(0.6)
            await platform.unpair(gateway, bob)  # and at once to the next
            await platform.pair(gateway, alice)
            await asyncio.sleep(0.6)
        await witness.delivered()
        taken = await check(platform, witness, alice, bob)
    assert all(taken.values())
    assert witness.gateway.resets >= 1


async def test_a_gateway_that_returns_with_what_it_stored_for_many_owners(
    platform: Platform, tmp_path: Path
) -> None:
    alice, bob = await platform.owner(), await platform.owner()
    async with running(platform, tmp_path) as witness:
        gateway = witness.identity
        await platform.pair(gateway, alice)
        await witness.gateway.start()
        await witness.gateway.until_connected()
        witness.send(3)
        await witness.delivered()
        witness.gateway.unplug()
        await _soon()
        witness.send(20)  # alice's, but the hub takes none of it in her time
        await _soon()
        await platform.unpair(gateway, alice)
        await _soon()
        witness.send(5)  # nobody's
        await _soon()
        await platform.pair(gateway, bob)
        await _soon()
        await witness.gateway.kill()  # the order to wipe survives a power cut of the gateway
        await witness.gateway.start()
        witness.send(10)  # bob's
        witness.gateway.plug()
        await witness.delivered()
        witness.send(2)
        await witness.delivered()
        taken = await check(platform, witness, alice, bob)
        mids = sorted(witness.seen)
    assert taken[alice.user_id] == mids[:3]
    assert taken[bob.user_id] == mids[28:]
    assert not any(witness.seen[mid].wiped for mid in mids[28:])


async def test_pairing_and_unpairing_in_quick_succession(
    platform: Platform, tmp_path: Path
) -> None:
    """Each interval lasts as long as the calls take."""
    alice, bob = await platform.owner(), await platform.owner()
    async with running(platform, tmp_path) as witness:
        gateway = witness.identity
        await platform.pair(gateway, alice)
        await witness.gateway.start()
        await witness.gateway.until_connected()
        async with witness.sending():
            for leaving, coming in ((alice, bob), (bob, alice)) * 3:
                await platform.unpair(gateway, leaving)
                await platform.pair(gateway, coming)
        await witness.delivered()
        witness.send(3)
        await witness.delivered()
        taken = await check(platform, witness, alice, bob)
    assert taken[alice.user_id][-3:] == sorted(witness.seen)[-3:]


async def _soon() -> None:
    """So that times in milliseconds differ."""
    await asyncio.sleep(0.01)


def _ms(moment: datetime | None) -> float:
    return math.inf if moment is None else moment.timestamp() * 1000
