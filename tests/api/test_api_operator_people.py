"""The operator's commands for people and namespaces, and the first owner of a new account."""

import asyncio
import json
from dataclasses import asdict
from pathlib import Path

import httpx

from services.api.logic import pairing
from services.api.logic.signing_in import OF_USERNAME
from services.api.logic.throttle import count_failure
from services.api.resources import Resources
from stack.demo import Demo, load_or_make
from stack.local import LocalStack
from tests.access.persons import accept, login, new_password, new_username
from tests.api.customers import Customer, new_customer, new_gateway, pairing_request
from tests.api.operators_tool import run
from tests.api.test_api_refusals import assert_error


async def test_a_first_owner_is_invited_and_gets_a_new_password(
    client: httpx.AsyncClient, stack: LocalStack, resources: Resources
) -> None:
    customer = await new_customer(resources)
    invite = ("person", "invite", "--user-id", customer.user_id, "--json")
    made, unknown = await asyncio.gather(
        run(stack, *invite),
        run(stack, "person", "reset-password", "--username", new_username(), "--json"),
    )
    assert (unknown.status, unknown.output) == (1, "")
    assert made.value["link"].endswith(f"/join#{made.value['token']}")
    username, password = new_username(), new_password()
    joined = await accept(client, made.value["token"], username, password)
    assert joined.json()["person"]["role"] == "owner"
    session = (await login(client, username, password)).json()
    for _ in range(OF_USERNAME.free):
        await count_failure(resources.attempts, OF_USERNAME, username)
    listed, reset = await asyncio.gather(
        run(stack, "person", "list", "--user-id", customer.user_id, "--json"),
        run(stack, "person", "reset-password", "--username", username, "--json"),
    )
    assert [(each["username"], each["role"]) for each in listed.value] == [(username, "owner")]
    base = f"/api/user/{customer.user_id}/-"
    old = {"Authorization": f"Bearer {session['token']}"}
    assert_error(await client.get(f"{base}/me", headers=old), 401)
    assert_error(await login(client, username, password), 401)
    again = await login(client, username, reset.value["password"])
    headers = {"Authorization": f"Bearer {again.json()['token']}"}
    audit = (await client.get(f"{base}/audit?actor=operator", headers=headers)).json()["items"]
    assert [each["operation"] for each in audit] == ["resetPassword", "createInvitation"]
    assert {each["actor_kind"] for each in audit} == {"operator"}


async def test_a_demo_of_before_people_could_sign_in_gets_an_owner(
    client: httpx.AsyncClient,
    stack: LocalStack,
    resources: Resources,
    stores: pairing.Stores,
    tmp_path: Path,
) -> None:
    customer: Customer = await new_customer(resources)
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(customer, gateway, "Demo"))
    empty = dict.fromkeys(Demo.__dataclass_fields__.keys() - {"operator_key"}, "")
    earlier = {
        **empty,
        **asdict(gateway),
        "user_id": customer.user_id,
        "api_key": customer.api_key,
        "username": "demo",
        "queue_connection_string": customer.queue_connection_string,
    }
    path = tmp_path / "demo.json"
    path.write_text(json.dumps(earlier))
    demo = await load_or_make(path, stack.endpoints, stack.service_environment)
    assert (demo.api_key, demo.device_key) == (customer.api_key, gateway.device_key)
    signed_in = await login(client, demo.username, demo.password)
    assert signed_in.json()["user_id"] == customer.user_id
    assert await load_or_make(path, stack.endpoints, stack.service_environment) == demo


async def test_the_tool_shows_and_recounts(stack: LocalStack, resources: Resources) -> None:
    await new_customer(resources)
    listed, recounted, accounts = await asyncio.gather(
        run(stack, "namespace", "list", "--json"),
        run(stack, "namespace", "recount"),
        run(stack, "account", "list", "--json"),
    )
    [local] = listed.value
    assert (local["name"], local["capacity"]) == ("local", 2000)
    assert local["accounts"] > 0
    assert "local" in recounted.output
    assert len(accounts.value) >= local["accounts"]
