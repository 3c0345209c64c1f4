"""The operator's commands take a device key without having it on the command line."""

import asyncio

from services.api.logic import pairing
from stack.local import LocalStack
from tests.api.customers import Customer, new_gateway
from tests.api.operators_tool import run


async def test_a_device_key_is_read_from_standard_input(
    stack: LocalStack, stores: pairing.Stores, alice: Customer
) -> None:
    gateway = await new_gateway(stores)
    key = gateway.device_key
    manufacture = ("gateway", "manufacture", "--device-key", "-", "--json")
    pair = ("gateway", "pair", "--user-id", alice.user_id, "--name", "Pump", "--json")
    made, paired, nothing = await asyncio.gather(
        run(stack, *manufacture, given=f"{key}\n"), run(stack, *pair, given=key), run(stack, *pair)
    )
    assert [each["device_key"] for each in made.value] == [key]
    assert paired.value["device_id"] == gateway.device_id
    assert key not in paired.output
    assert (nothing.status, "64 letters" in nothing.errors) == (1, True)
