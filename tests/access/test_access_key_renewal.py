"""Renewing a key with an overlap, while clients call without a pause."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from services.api.resources import Resources
from tests.access.account_calls import Caller, caller_of
from tests.api.customers import new_customer
from tests.api.test_api_refusals import assert_error

CLIENTS = 6
CALLS_BETWEEN = 15  # of all clients, before the next one moves


@dataclass
class Traffic:
    """Clients that call without a pause, each with the key that it was given last."""

    callers: list[Caller]
    replies: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    statuses: list[int] = field(default_factory=list)
    calling: dict[int, Caller] = field(default_factory=dict)  # what a client's call goes by
    running: bool = True

    async def client(self, number: int) -> None:
        while self.running:
            caller = self.calling[number] = self.callers[number]
            reply = await caller.call("GET", "/devices")
            self.replies.put_nowait(reply.status_code)

    async def goes_on(self) -> None:
        """Return after some more calls of whichever client."""
        for _ in range(CALLS_BETWEEN):
            self.statuses.append(await self.replies.get())

    async def all_moved(self) -> None:
        """Return when no call is under way by a key that its client has left."""
        while any(self.calling[number] is not own for number, own in enumerate(self.callers)):
            self.statuses.append(await self.replies.get())


async def test_no_request_fails_while_clients_move(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    owner = caller_of(client, await new_customer(resources))
    old = await owner.new_key("read")
    traffic = Traffic([owner.with_key(old["api_key"])] * CLIENTS)
    tasks = [asyncio.create_task(traffic.client(number)) for number in range(CLIENTS)]
    try:
        await traffic.goes_on()
        reply = await owner.call(
            "POST", f"/account/keys/{old['id']}/renew", {"overlap_seconds": 3600}
        )
        new = reply.json()
        for number in range(CLIENTS):
            await traffic.goes_on()
            traffic.callers[number] = owner.with_key(new["api_key"])
        await traffic.all_moved()
        # The owner ends the overlap early.
        await owner.call("DELETE", f"/account/keys/{old['id']}")
        await traffic.goes_on()
    finally:
        traffic.running = False
        await asyncio.gather(*tasks)
    while not traffic.replies.empty():
        traffic.statuses.append(traffic.replies.get_nowait())
    assert len(traffic.statuses) >= (CLIENTS + 2) * CALLS_BETWEEN
    assert set(traffic.statuses) == {200}
    assert_error(await owner.with_key(old["api_key"]).call("GET", "/devices"), 401)


async def test_the_old_key_ends_with_the_overlap(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    owner = caller_of(client, await new_customer(resources))
    old = await owner.new_key("write")
    renewal = await owner.call("POST", f"/account/keys/{old['id']}/renew", {"overlap_seconds": 1})
    asked_at = datetime.now(UTC)
    new = owner.with_key(renewal.json()["api_key"])
    ends_at = datetime.fromisoformat((await owner.get(f"/account/keys/{old['id']}"))["expires_at"])
    assert ends_at <= asked_at + timedelta(seconds=1)
    holder, refused_after = owner.with_key(old["api_key"]), False
    while not refused_after:
        began = datetime.now(UTC)
        reply = await holder.call("GET", "/devices")
        ended = datetime.now(UTC)
        assert (await new.call("GET", "/devices")).status_code == 200
        if reply.status_code == 200:
            assert began < ends_at
        else:
            assert_error(reply, 401)
            assert ended >= ends_at, "it ended before its overlap did"
            refused_after = True


async def test_two_renewals_at_once_make_one_key(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    owner = caller_of(client, await new_customer(resources))
    old = await owner.new_key("read")
    path = f"/account/keys/{old['id']}/renew"
    replies = await asyncio.gather(
        *(owner.call("POST", path, {"overlap_seconds": 60}) for _ in range(4))
    )
    assert sorted(reply.status_code for reply in replies) == [201, 409, 409, 409]
    assert len(await owner.get("/account/keys")) == 3


async def test_keys_made_at_once_are_all_kept(
    client: httpx.AsyncClient, resources: Resources
) -> None:
    owner = caller_of(client, await new_customer(resources))
    made = await asyncio.gather(*(owner.new_key("read") for _ in range(6)))
    kept = {key["id"] for key in await owner.get("/account/keys")}
    assert {key["id"] for key in made} < kept
    for key in made:
        assert await owner.with_key(key["api_key"]).get("/groups") == []
