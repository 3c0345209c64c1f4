"""The operator's commands take a device key without having it on the command line."""

from services.api.logic.ids import device_id_of, new_device_key
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.api.operators_tool import run
from tests.known_secrets import keep


async def test_a_device_key_is_read_from_standard_input(stack: LocalStack, alice: Customer) -> None:
    key = new_device_key()
    keep(key)
    manufacture = ("gateway", "manufacture", "--device-key", "-", "--json")
    made = await run(stack, *manufacture, given=f"{key}\n")
    assert made.value[0]["device_key"] == key
    pair = ("gateway", "pair", "--user-id", alice.user_id, "--name", "Pump", "--json")
    paired = await run(stack, *pair, given=key)
    assert paired.value["device_id"] == device_id_of(key)
    assert key not in paired.output
    nothing = await run(stack, *pair)
    assert (nothing.status, "64 letters" in nothing.errors) == (1, True)
