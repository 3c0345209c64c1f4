"""The profile and the queue of an account."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from azure.servicebus import ServiceBusMessage
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.aio.management import ServiceBusAdministrationClient
from azure.servicebus.exceptions import ServiceBusError
from azure.servicebus.management import EntityStatus

from services.api.logic.account_changes import change_account
from services.api.resources import Resources
from tests.access.account_calls import Caller, caller_of
from tests.api.customers import Customer, new_customer
from tests.api.test_api_refusals import assert_error

PROFILE = ["user_id", "username", "company", "email", "telephone", "created_at"]


@pytest.fixture
async def owner(client: httpx.AsyncClient, resources: Resources) -> Caller:
    """Of an account of its own."""
    return caller_of(client, await new_customer(resources))


@pytest.fixture
def admin(resources: Resources) -> ServiceBusAdministrationClient:
    return resources.azure.service_bus_administration("local")


async def test_read_and_edit_the_profile(owner: Caller) -> None:
    first = await owner.call("GET", "/account")
    assert list(first.json()) == PROFILE
    assert first.json()["company"] == ""
    etag = first.headers["etag"]
    changes = {"company": "Größe & Söhne 株式会社", "email": "ops@example.com"}
    edited = await owner.call("PATCH", "/account", changes, If_Match=etag)
    assert edited.json() == first.json() | changes
    assert edited.headers["etag"] != etag
    late = await owner.call("PATCH", "/account", {"telephone": "1"}, If_Match=etag)
    assert_error(late, 412)
    assert await owner.get("/account") == edited.json()
    cleared = await owner.call("PATCH", "/account", {"email": ""}, If_Match="*")
    assert cleared.json() == edited.json() | {"email": ""}
    assert (await owner.call("PATCH", "/account", {})).json() == cleared.json()


async def test_of_two_who_edit_at_once_one_is_told(owner: Caller) -> None:
    etag = (await owner.call("GET", "/account")).headers["etag"]
    replies = await asyncio.gather(
        *(owner.call("PATCH", "/account", {"company": name}, If_Match=etag) for name in "ABCD")
    )
    assert sorted(reply.status_code for reply in replies) == [200, 412, 412, 412]
    [winner] = [reply.json()["company"] for reply in replies if reply.status_code == 200]
    assert (await owner.get("/account"))["company"] == winner


@pytest.mark.parametrize(
    "body",
    [
        {"username": ""},
        {"username": " "},
        {"username": None},
        {"username": "x" * 101},
        {"company": "x" * 201},
        {"email": "nobody"},
        {"email": "a b@example.com"},
        {"telephone": 390655500100},
        {"user_id": "other"},
        {"servicebus_namespace": "other"},
        {"api_keys": []},
        "text",
    ],
)
async def test_malformed_profiles_change_nothing(
    client: httpx.AsyncClient, alice: Customer, body: Any
) -> None:
    caller = caller_of(client, alice)
    before = await caller.get("/account")
    assert_error(await caller.call("PATCH", "/account", body), 400)
    assert await caller.get("/account") == before


async def test_what_waits_in_the_queue(owner: Caller, resources: Resources) -> None:
    name = f"user-{owner.user_id}"
    empty = await owner.get("/account/queue")
    assert (empty["name"], empty["namespace"], empty["state"]) == (name, "local", "Active")
    assert (empty["active_messages"], empty["dead_letters"], empty["size_bytes"]) == (0, 0, 0)
    assert (empty["held"], empty["max_megabytes"]) == (0, 1024)
    service_bus = resources.azure.service_bus("local")
    async with service_bus.get_queue_sender(name) as sender:
        await sender.send_messages([ServiceBusMessage(b"x" * 100, message_id=id_) for id_ in "abc"])
    async with ServiceBusClient.from_connection_string(empty["connection_string"]) as listener:
        async with listener.get_queue_receiver(name) as receiver:
            [first] = await receiver.receive_messages(max_message_count=1)
            await receiver.dead_letter_message(first)
    full = await owner.get("/account/queue")
    assert (full["active_messages"], full["dead_letters"]) == (2, 1)
    assert full["size_bytes"] > 0


async def test_the_queues_state_is_told(
    owner: Caller, admin: ServiceBusAdministrationClient
) -> None:
    name = f"user-{owner.user_id}"
    properties = await admin.get_queue(name)
    properties.status = EntityStatus.SEND_DISABLED
    await admin.update_queue(properties)
    assert (await owner.get("/account/queue"))["state"] == "SendDisabled"
    await admin.delete_queue(name)
    missing = await owner.get("/account/queue")
    assert (missing["state"], missing["connection_string"]) == ("Missing", "")
    renewal = await owner.call("POST", "/account/queue/renew", {})
    assert "missing" in assert_error(renewal, 409)


async def test_the_connection_string_is_for_full_scope(owner: Caller) -> None:
    reader = owner.with_key((await owner.new_key("write", "ota"))["api_key"])
    shown = await reader.get("/account/queue")
    assert shown["connection_string"] == ""
    assert list(shown) == list(await owner.get("/account/queue"))
    assert_error(await reader.call("POST", "/account/queue/renew", {}), 403)
    assert_error(await reader.call("PATCH", "/account", {"company": "x"}), 403)
    assert (await reader.get("/account"))["user_id"] == owner.user_id


async def test_renewing_keeps_the_previous_key_once(owner: Caller) -> None:
    first = (await owner.get("/account/queue"))["connection_string"]
    second = (await owner.call("POST", "/account/queue/renew", {})).json()["connection_string"]
    assert first != second
    assert await _open(first, second) == [True, True]
    third = (await owner.call("POST", "/account/queue/renew", {})).json()["connection_string"]
    assert await _open(first, second) == [False, True]
    ended = await owner.call("POST", "/account/queue/renew", {"end_previous": True})
    fourth = ended.json()["connection_string"]
    assert await _open(third, fourth) == [False, True]
    assert (await owner.get("/account/queue"))["connection_string"] == fourth
    wrong: list[Any] = [{"end_previous": "yes"}, {"end_previous": 1}, {"unknown": True}, []]
    for body in wrong:
        assert_error(await owner.call("POST", "/account/queue/renew", body), 400)


async def test_of_renewals_at_once_each_that_succeeded_works(owner: Caller) -> None:
    replies = await asyncio.gather(
        *(owner.call("POST", "/account/queue/renew", {}) for _ in range(3))
    )
    taken = [reply for reply in replies if reply.status_code == 200]
    assert taken
    assert {reply.status_code for reply in replies} <= {200, 409}
    shown = (await owner.get("/account/queue"))["connection_string"]
    assert shown in [reply.json()["connection_string"] for reply in taken]
    assert await _opens(shown)


async def test_while_one_renews_others_wait_but_not_for_ever(
    owner: Caller, resources: Resources
) -> None:
    async def until(moment: datetime) -> None:
        await change_account(
            resources.accounts,
            owner.user_id,
            lambda account: account.model_copy(update={"queue_renewal_until": moment}),
        )

    await until(datetime.now(UTC) + timedelta(seconds=60))
    refused = await owner.call("POST", "/account/queue/renew", {})
    assert "renewed at this moment" in assert_error(refused, 409)
    # As after a crash.
    await until(datetime.now(UTC))
    assert (await owner.call("POST", "/account/queue/renew", {})).status_code == 200


async def _open(*connection_strings: str) -> list[bool]:
    """Which of them open their queue."""
    return list(await asyncio.gather(*map(_opens, connection_strings)))


async def _opens(connection_string: str) -> bool:
    name = connection_string.rpartition("EntityPath=")[2]
    async with ServiceBusClient.from_connection_string(
        connection_string, retry_total=0
    ) as service_bus:
        try:
            async with service_bus.get_queue_receiver(name):
                pass  # its link is attached, or refused
        except ServiceBusError:
            return False
    return True
