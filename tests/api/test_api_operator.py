"""The operator's tool, from an account to its paired gateway."""

import asyncio
import json
import os
import signal
import sys

import httpx
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.aio.management import ServiceBusAdministrationClient

from services.api.logic.ids import device_id_of, new_user_id
from services.api.resources import Resources
from stack.local import LocalStack
from tests.api.customers import Customer
from tests.api.operators_tool import run


async def test_from_account_to_paired_gateway(
    stack: LocalStack, client: httpx.AsyncClient, resources: Resources
) -> None:
    user_id = new_user_id()
    create = ("account", "create", "--username", "Acme", "--user-id", user_id, "--json")
    made = (await run(stack, *create)).value
    assert made["created"]
    assert len(made["api_key"]) == 64
    queue = made["queue_connection_string"]
    assert queue.endswith(f";EntityPath=user-{user_id}")
    assert "UseDevelopmentEmulator=true" in queue
    again, gateways, group = await asyncio.gather(
        run(stack, *create),
        run(stack, "gateway", "manufacture", "--count", "2", "--json"),
        run(
            stack,
            *("group", "create", "--user-id", user_id),
            *("--name", "G", "--group-id", "g"),
            "--json",
        ),
    )
    assert again.value == made | {"created": False, "api_key": ""}
    account = await resources.accounts.get(user_id)
    assert account is not None
    assert made["api_key"] not in account.model_dump_json()
    assert group.value == {"user_id": user_id, "group_id": "g", "created": True}
    first, second = gateways.value
    assert first["device_id"] == device_id_of(first["device_key"]) != second["device_id"]
    assert first["device_connection_string"].startswith("HostName=localhost;DeviceId=X400_")

    key = first["device_key"]
    pair = ("gateway", "pair", "--user-id", user_id, "--name", "Pump", "--json")
    place = ("--location", "1.5,2.5", "--group", "g")
    paired, keyless = await asyncio.gather(
        run(stack, *pair, *place, given=f"{key}\n"), run(stack, *pair)
    )
    assert (paired.value["paired"], paired.value["device_id"]) == (True, first["device_id"])
    assert (keyless.status, "64 letters" in keyless.errors) == (1, True)
    headers = {"X-API-Key": made["api_key"]}
    devices = (await client.get(f"/api/user/{user_id}/-/devices", headers=headers)).json()
    assert [one["device"]["name"] for one in devices] == ["Pump"]
    assert (devices[0]["device"]["group_id"], devices[0]["device"]["location"]) == ("g", "1.5,2.5")

    repeat = ("gateway", "manufacture", "--device-key", "-", "--json")
    repeated, listed, shown, refused = await asyncio.gather(
        run(stack, *repeat, given=key),
        run(stack, "gateway", "list", "--json"),
        run(stack, "gateway", "show", "--device-id", first["device_id"], "--json"),
        run(stack, "gateway", "unpair", "--user-id", "other", "--device-id", first["device_id"]),
    )
    assert {first["device_id"], second["device_id"]} <= {one["device_id"] for one in listed.value}
    assert shown.value["user_id"] == user_id
    assert repeated.value == [first]
    assert key not in paired.output + listed.output + shown.output
    assert (refused.status, refused.output) == (1, "")
    assert "Traceback" not in refused.errors

    unpaired = await run(
        stack,
        "gateway",
        "unpair",
        "--user-id",
        user_id,
        "--device-id",
        first["device_id"],
        "--json",
    )
    assert unpaired.status == 0
    assert (await client.get(f"/api/user/{user_id}/-/devices", headers=headers)).json() == []


async def test_the_queues_key_opens_this_queue_for_listening_and_nothing_else(
    stack: LocalStack, resources: Resources
) -> None:
    user_id = new_user_id()
    made = (
        await run(stack, "account", "create", "--username", "A", "--user-id", user_id, "--json")
    ).value
    admin: ServiceBusAdministrationClient = resources.azure.service_bus_administration("local")
    properties = await admin.get_queue(f"user-{user_id}")
    assert properties.requires_duplicate_detection
    assert (
        properties.duplicate_detection_history_time_window
        == resources.settings.queue_duplicate_window
    )
    assert properties.authorization_rules is not None
    assert [rule.rights for rule in properties.authorization_rules] == [["Listen"]]
    text = made["queue_connection_string"]
    async with ServiceBusClient.from_connection_string(text) as service_bus:
        async with service_bus.get_queue_receiver(f"user-{user_id}") as receiver:
            assert await receiver.receive_messages(max_wait_time=0.2) == []


async def test_quickstart_completes_what_was_interrupted(
    stack: LocalStack, client: httpx.AsyncClient
) -> None:
    arguments = ("quickstart", "--username", "demo", "--user-id", new_user_id(), "--json")
    made = (await run(stack, *arguments)).value
    devices = await client.get(f"/api/user/{made['user_id']}/{made['api_key']}/devices")
    assert [one["device"]["device_id"] for one in devices.json()] == [made["device_id"]]
    again, other = await asyncio.gather(
        run(stack, *arguments, "--device-key", made["device_key"]),
        run(stack, "account", "new-key", "--user-id", made["user_id"], "--json"),
    )
    assert again.value == made | {"api_key": "", "password": ""}
    body = {"username": made["username"], "password": made["password"]}
    signed_in = (await client.post("/api/login", json=body)).json()
    assert (signed_in["user_id"], signed_in["role"]) == (made["user_id"], "owner")
    key = other.value
    for api_key in (made["api_key"], key["api_key"]):
        reply = await client.get(f"/api/user/{made['user_id']}/{api_key}/devices")
        assert reply.status_code == 200


async def test_a_tool_for_people(stack: LocalStack, alice: Customer) -> None:
    help_text, accounts, unset, unknown = await asyncio.gather(
        run(None, "--help"),
        run(stack, "account", "list"),
        run(None, "account", "list", "--json"),
        run(stack, "account", "show", "--user-id", "nobody", "--json"),
    )
    for command in ("provision", "quickstart", "account", "group", "gateway", "person"):
        assert command in help_text.output
    assert f"user-{alice.user_id}" in accounts.output, "an id that is broken cannot be copied"
    assert unset.status == 2
    assert "MYMOTE_COSMOS_ENDPOINT" in json.loads(unset.errors)["error"]
    assert (unknown.status, json.loads(unknown.errors)) == (
        1,
        {"error": "There is no account of this user id."},
    )


async def test_ctrl_c_ends_a_command_with_a_sentence(stack: LocalStack) -> None:
    """The database takes the connection and never answers."""
    asked = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        endpoint = {"MYMOTE_COSMOS_ENDPOINT": f"http://127.0.0.1:{port}"}
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "services.api.operator", "account", "list", "--json"),
            env=os.environ | stack.service_environment | endpoint,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await asked.wait()
        child.send_signal(signal.SIGINT)
        output, errors = await child.communicate()
    assert (child.returncode, output) == (130, b"")
    assert "Interrupted" in json.loads(errors)["error"]
