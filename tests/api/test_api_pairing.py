"""Pairing: who wins, what it changes, and how it goes on after an interruption."""

import asyncio

import pytest

from services.api.logic import intervals, pairing
from services.api.logic.ids import new_device_key
from services.api.resources import Resources
from shared.errors import Conflict, InvalidRequest, NotFound
from stack.local import LocalStack
from tests.api.customers import Customer, new_customer, new_gateway, pairing_request
from tests.api.mqtt_gateway import connected


async def test_of_many_accounts_that_pair_at_once_exactly_one_wins(
    resources: Resources, stores: pairing.Stores
) -> None:
    customers = [await new_customer(resources) for _ in range(4)]
    for _ in range(5):
        gateway = await new_gateway(stores)
        outcomes = await asyncio.gather(
            *(pairing.pair(stores, pairing_request(one, gateway)) for one in customers),
            return_exceptions=True,
        )
        winners = [one for one in outcomes if isinstance(one, pairing.Paired)]
        assert len(winners) == 1
        assert all(isinstance(one, Conflict) for one in outcomes if one is not winners[0])
        found = await stores.gateways.get(gateway.device_id)
        assert found is not None
        assert intervals.owner_of(found[0]) == winners[0].device.user_id
        views = [await stores.devices.get(one.user_id, gateway.device_id) for one in customers]
        assert [view.user_id for view in views if view] == [winners[0].device.user_id]
        twin = await stores.hub.get_twin(gateway.device_id)
        assert twin.tags["user_id"] == winners[0].device.user_id
        assert twin.desired["wipe"] == pairing.wipe_order(winners[0].device.paired_at)


async def test_an_online_gateway_is_told_to_wipe_and_its_state_is_taken_over(
    stack: LocalStack, stores: pairing.Stores, alice: Customer
) -> None:
    made = await new_gateway(stores)
    port = stack.settings.mqtt_port
    async with connected(made.device_connection_string, stack.settings.bind, port) as gateway:
        gateway.report({"fwversion": "1.2.3", "app_name": "demo", "connectivity": "LTE"})
        paired = await pairing.pair(stores, pairing_request(alice, made, "Boiler"))
        assert await gateway.method() == (
            "reboot",
            {"wipe": pairing.wipe_order(paired.device.paired_at)},
        )
    assert paired.rebooted
    assert (paired.device.fwversion, paired.device.app_name) == ("1.2.3", "demo")
    assert paired.device.status == "Connected"
    twin = await stores.hub.get_twin(made.device_id)
    assert dict(twin.tags) == {"user_id": alice.user_id, "group_id": "", "name": "Boiler"}


async def test_pairing_again_changes_nothing(
    stack: LocalStack, stores: pairing.Stores, alice: Customer
) -> None:
    made = await new_gateway(stores)
    first = await pairing.pair(stores, pairing_request(alice, made, "Boiler"))
    port = stack.settings.mqtt_port
    async with connected(made.device_connection_string, stack.settings.bind, port) as gateway:
        again = await pairing.pair(stores, pairing_request(alice, made, "Other name"))
        assert again.already
        assert gateway.methods.empty()
    assert again.device.name == "Boiler"
    assert again.device.paired_at == first.device.paired_at


@pytest.mark.parametrize("lost", ["document", "completion"])
async def test_an_interrupted_pairing_is_completed_by_calling_again(
    stack: LocalStack, stores: pairing.Stores, alice: Customer, lost: str
) -> None:
    made = await new_gateway(stores)
    first = await pairing.pair(stores, pairing_request(alice, made, "Boiler"))
    found = await stores.gateways.get(made.device_id)
    assert found is not None
    interrupted = found[0].pairings[0].model_copy(update={"completed_at": None})
    await stores.gateways.replace(found[0].model_copy(update={"pairings": [interrupted]}), found[1])
    if lost == "document":
        await stores.devices.delete(alice.user_id, made.device_id, paired_at=first.device.paired_at)
    port = stack.settings.mqtt_port
    async with connected(made.device_connection_string, stack.settings.bind, port) as gateway:
        again = await pairing.pair(stores, pairing_request(alice, made, "Boiler"))
        assert await gateway.method() == (
            "reboot",
            {"wipe": pairing.wipe_order(again.device.paired_at)},
        )
    assert not again.already
    assert again.device.paired_at == first.device.paired_at
    found = await stores.gateways.get(made.device_id)
    assert found is not None
    assert len(found[0].pairings) == 1
    assert found[0].pairings[0].completed_at is not None


async def test_unpairing_ends_the_interval_and_can_be_repeated(
    stores: pairing.Stores, alice: Customer, bob: Customer
) -> None:
    made = await new_gateway(stores)
    paired = await pairing.pair(stores, pairing_request(alice, made))
    with pytest.raises(NotFound):
        await pairing.unpair(stores, bob.user_id, made.device_id)
    await pairing.unpair(stores, alice.user_id, made.device_id)
    await stores.devices.put(paired.device)  # as if it had been interrupted before the delete
    await pairing.unpair(stores, alice.user_id, made.device_id)
    assert await stores.devices.get(alice.user_id, made.device_id) is None
    assert dict((await stores.hub.get_twin(made.device_id)).tags) == {}

    await pairing.pair(stores, pairing_request(bob, made))
    await pairing.unpair(stores, alice.user_id, made.device_id)  # late, and none of bob's business
    assert await stores.devices.get(bob.user_id, made.device_id) is not None
    found = await stores.gateways.get(made.device_id)
    assert found is not None
    first, second = found[0].pairings
    assert first.ended_at is not None
    assert first.started_at <= first.ended_at <= second.started_at
    assert second.ended_at is None


async def test_what_cannot_be_paired(stores: pairing.Stores, alice: Customer) -> None:
    made = await new_gateway(stores)
    with pytest.raises(NotFound):
        await pairing.pair(
            stores, pairing.PairingRequest(alice.user_id, new_device_key(), "Boiler")
        )
    with pytest.raises(NotFound):
        await pairing.pair(stores, pairing_request(alice, made, group_id="nothing"))
    with pytest.raises(InvalidRequest):
        await pairing.pair(stores, pairing.PairingRequest(alice.user_id, "short", "Boiler"))
    for name, location in (("", ""), ("a\n", ""), ("Boiler", "91,0"), ("Boiler", "here")):
        with pytest.raises(InvalidRequest):
            await pairing.pair(stores, pairing_request(alice, made, name, location))
    await stores.hub.delete_device(made.device_id)
    with pytest.raises(Conflict, match="manufacture"):
        await pairing.pair(stores, pairing_request(alice, made))
    found = await stores.gateways.get(made.device_id)
    assert found is not None
    assert found[0].pairings == []
