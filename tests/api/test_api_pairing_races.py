"""Pairing and unpairing that are killed at any step, or run into each other at any step."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.api.logic import intervals, pairing
from services.api.logic.devices import devices_of_account
from services.api.logic.ids import device_id_of
from services.api.logic.manufacturing import Manufactured
from shared.errors import Conflict, NotFound
from shared.schemas.documents import Gateway
from stack.local import LocalStack
from tests.api.customers import Customer, new_gateway, pairing_request
from tests.api.interruptions import KilledError, Steps, killed_after
from tests.api.mqtt_gateway import connected

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


async def owner_seen(
    stores: pairing.Stores, made: Manufactured, *customers: Customer
) -> str | None:
    """Who has the gateway, after a check that the truth, the accounts and the twin agree."""
    found = await stores.gateways.get(made.device_id)
    assert found is not None
    owner = intervals.owner_of(found[0])
    for each in customers:
        devices = await devices_of_account(stores.devices, stores.gateways, each.user_id)
        shown = made.device_id in {device.device_id for device in devices}
        assert shown == (each.user_id == owner)
        entry = await stores.devices.get(each.user_id, made.device_id)
        assert entry is None or (each.user_id == owner and entry.phase == "paired")
    tags = dict((await stores.hub.get_twin(made.device_id)).tags)
    assert tags.get("user_id") == owner
    moments = [m for p in found[0].pairings for m in (p.started_at, p.ended_at) if m is not None]
    assert all(earlier < later for earlier, later in itertools.pairwise(moments))
    return owner


async def kills(
    stores: pairing.Stores, work: Callable[[pairing.Stores], Awaitable[Any]]
) -> AsyncIterator[int]:
    """Run `work` once for each of its steps, killed after it; the loop's body repairs."""
    for step in itertools.count(1):
        try:
            await work(killed_after(stores, step).stores)
        except KilledError:
            yield step
            continue
        assert step > 4
        return


async def test_a_pairing_that_is_killed_after_any_step_is_completed_by_calling_again(
    stores: pairing.Stores, alice: Customer, bob: Customer
) -> None:
    made = await new_gateway(stores)

    async def pair(killed: pairing.Stores) -> None:
        await pairing.pair(killed, pairing_request(alice, made))

    async for _ in kills(stores, pair):
        with pytest.raises(Conflict, match="another account"):
            await pairing.pair(stores, pairing_request(bob, made))
        await pairing.pair(stores, pairing_request(alice, made))
        assert await owner_seen(stores, made, alice, bob) == alice.user_id
        again = await pairing.pair(stores, pairing_request(alice, made))
        assert again.already
        made = await new_gateway(stores)


async def test_a_pairing_that_is_killed_after_any_step_can_be_ended_instead(
    stores: pairing.Stores, alice: Customer, bob: Customer
) -> None:
    made = await new_gateway(stores)
    async for _ in kills(stores, lambda s: pairing.pair(s, pairing_request(alice, made))):
        await pairing.unpair(stores, alice.user_id, made.device_id)
        assert await owner_seen(stores, made, alice, bob) is None


async def test_an_unpairing_that_is_killed_after_any_step_leaves_nothing_to_see(
    client: httpx.AsyncClient, stores: pairing.Stores, alice: Customer, bob: Customer
) -> None:
    """The account's list tells the truth at once; another account can pair the gateway."""
    made = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(alice, made))
    async for step in kills(stores, lambda s: pairing.unpair(s, alice.user_id, made.device_id)):
        found = await stores.gateways.get(made.device_id)
        assert found is not None
        left = intervals.owner_of(found[0]) is None
        listed = (await client.get(f"{alice.base}/devices")).json()
        shown = made.device_id in {each["device"]["device_id"] for each in listed}
        assert shown != left
        one = await client.get(f"{alice.base}/devices/{made.device_id}")
        assert one.status_code == (404 if left else 200)
        if not left or step % 2:  # repeated; else the next owner comes without that
            await pairing.unpair(stores, alice.user_id, made.device_id)
        await pairing.pair(stores, pairing_request(bob, made))
        assert await owner_seen(stores, made, alice, bob) == bob.user_id
        await pairing.unpair(stores, bob.user_id, made.device_id)
        await pairing.pair(stores, pairing_request(alice, made))


@pytest.mark.parametrize("next_owner", ["nobody", "bob", "alice"])
async def test_an_unpairing_at_any_step_of_a_pairing_wins(
    stores: pairing.Stores, alice: Customer, bob: Customer, next_owner: str
) -> None:
    """And with it whoever pairs the gateway next; the first pairing leaves no trace."""
    for step in itertools.count(1):
        made = await new_gateway(stores)

        async def at(number: int, step: int = step, made: Manufactured = made) -> None:
            if number == step:
                await pairing.unpair(stores, alice.user_id, made.device_id)
                if next_owner != "nobody":
                    customer = alice if next_owner == "alice" else bob
                    await pairing.pair(stores, pairing_request(customer, made, "Next"))

        steps = Steps(stores, at)
        if steps_left := await _unless_ended(steps, pairing_request(alice, made)):
            assert step > steps_left
            return
        owner = {"nobody": None, "alice": alice.user_id, "bob": bob.user_id}[next_owner]
        assert await owner_seen(stores, made, alice, bob) == owner
        tags = dict((await stores.hub.get_twin(made.device_id)).tags)
        assert tags.get("name") == (None if next_owner == "nobody" else "Next")


async def _unless_ended(steps: Steps, request: pairing.PairingRequest) -> int:
    """How many steps a pairing took that nobody disturbed; 0 where it was ended."""
    try:
        await pairing.pair(steps.stores, request)
    except Conflict:
        return 0
    found = await steps.stores.gateways.get(device_id_of(request.device_key))
    assert found is not None
    # Ended after its last step: it was told as made, and rightly.
    return steps.count if len(found[0].pairings) == 1 and not found[0].pairings[0].ended_at else 0


async def test_accounts_that_pair_and_unpair_all_at_once_leave_one_truth(
    stores: pairing.Stores, alice: Customer, bob: Customer
) -> None:
    made = await new_gateway(stores)

    async def quickly(customer: Customer) -> None:
        for _ in range(4):
            try:
                await pairing.pair(stores, pairing_request(customer, made))
                await pairing.unpair(stores, customer.user_id, made.device_id)
            except Conflict:
                await asyncio.sleep(0.02)

    await asyncio.gather(*(quickly(each) for each in (alice, bob, alice)))
    for each in (alice, bob):
        try:
            await pairing.unpair(stores, each.user_id, made.device_id)
        except NotFound:
            continue
    assert await owner_seen(stores, made, alice, bob) is None
    await pairing.pair(stores, pairing_request(bob, made))
    assert await owner_seen(stores, made, alice, bob) == bob.user_id


async def test_what_a_gateway_reports_while_it_is_paired_is_not_missed(
    stack: LocalStack, stores: pairing.Stores, alice: Customer
) -> None:
    """Without ingest here: what it reports after the twin was first read must still be found."""
    made = await new_gateway(stores)
    port = stack.settings.mqtt_port
    async with connected(made.device_connection_string, stack.settings.bind, port) as gateway:
        gateway.report({"fwversion": "1.0.0"})

        async def at(number: int) -> None:
            if number == 1:  # the claim
                gateway.report({"fwversion": "2.0.0", "app_name": "demo"})

        paired = await pairing.pair(Steps(stores, at).stores, pairing_request(alice, made))
    assert (paired.device.fwversion, paired.device.app_name) == ("2.0.0", "demo")
    kept = await stores.devices.get(alice.user_id, made.device_id)
    assert kept == paired.device


async def test_a_clock_that_goes_back_mixes_no_intervals(
    stores: pairing.Stores, alice: Customer, bob: Customer
) -> None:
    made = await new_gateway(stores)
    times = itertools.count()
    back = replace(stores, clock=lambda: NOON - timedelta(hours=next(times)))
    orders = []
    for customer in (alice, bob, alice):
        await pairing.pair(back, pairing_request(customer, made))
        assert await owner_seen(stores, made, alice, bob) == customer.user_id
        orders.append((await stores.hub.get_twin(made.device_id)).desired["wipe"])
        await pairing.unpair(back, customer.user_id, made.device_id)
    assert orders == sorted(set(orders))
    assert await owner_seen(stores, made, alice, bob) is None


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=1, max_size=20))
def test_intervals_follow_each_other_whatever_the_clock_does(clock: list[datetime]) -> None:
    gateway = Gateway(id="g", device_id="g", type="X400", manufactured_at=NOON)
    for number, now in enumerate(each for each in clock if each.year < 9999):
        if intervals.current(gateway) is None:
            gateway = intervals.begun(gateway, f"u{number}", "Pump", now)
        else:
            gateway = intervals.ended(gateway, now)
    moments = [m for p in gateway.pairings for m in (p.started_at, p.ended_at) if m is not None]
    assert all(earlier < later for earlier, later in itertools.pairwise(moments))
    texts = [pairing.wipe_order(p.started_at) for p in gateway.pairings]
    assert texts == sorted(set(texts))
