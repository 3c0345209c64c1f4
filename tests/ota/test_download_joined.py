"""Storage is asked once for all who want to know, by a question that is not older than theirs."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

import pytest

from services.api.logic.manufacturing import Manufactured
from services.ota.logic.chunks import Blob
from services.ota.logic.joined import Joined
from services.ota.logic.together import MOST, Together
from services.ota.resources import Resources
from services.ota.store.downloads import Item, Key, read_documents
from shared.database import DEVICES
from tests.api.customers import Customer

BLOB = Blob("b", "e", 5)


async def all_wait() -> None:
    """Each task goes on for some turns, in which it comes to what it waits for."""
    for _ in range(10):
        await asyncio.sleep(0)


class Storage:
    """Answers when it is told to; `answers` has a flag for each look, whether the blob is right."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.began = 0
        self.go = asyncio.Event()

    async def look(self, _blob: Blob) -> None:
        right = self.answers[self.began]  # as it is when the look begins
        self.began += 1
        await self.go.wait()
        if not right:
            raise ValueError("changed")


async def test_who_asks_while_a_look_runs_waits_for_the_next() -> None:
    storage = Storage(True, False, True)
    checks = Joined(storage.look)
    early = [asyncio.create_task(checks.ask(BLOB)) for _ in range(5)]
    await all_wait()
    assert storage.began == 1
    late = [asyncio.create_task(checks.ask(BLOB)) for _ in range(5)]
    other = asyncio.create_task(checks.ask(Blob("another", "e", 5)))
    await all_wait()
    late[0].cancel()  # hangs up, which must not stop the others' look
    storage.go.set()
    assert await asyncio.gather(*early) == [None] * 5
    results = await asyncio.gather(*late[1:], return_exceptions=True)
    assert len(results) == 4
    await asyncio.gather(other, return_exceptions=True)
    assert storage.began == 3


async def test_a_blob_that_changes_is_seen_by_whoever_asks_then() -> None:
    storage = Storage(True, False, True)
    checks = Joined(storage.look)
    early = asyncio.create_task(checks.ask(BLOB))
    await all_wait()
    late = [asyncio.create_task(checks.ask(BLOB)) for _ in range(3)]
    storage.go.set()
    await early
    results = await asyncio.gather(*late, return_exceptions=True)
    assert [type(each) for each in results] == [ValueError] * 3
    await checks.ask(BLOB)
    assert storage.began == 3


async def test_nothing_is_left_of_looks_that_failed() -> None:
    storage = Storage(False, False)
    storage.go.set()
    checks = Joined(storage.look)
    for _ in range(2):
        with pytest.raises(ValueError, match="changed"):
            await checks.ask(BLOB)
    assert checks == Joined(storage.look)


async def test_documents_that_are_wanted_together_are_read_together(
    ota: Resources, pump: Manufactured, boiler: Manufactured, alice: Customer, bob: Customer
) -> None:
    together = _devices(ota)
    wanted = [(pump.device_id, alice.user_id), (boiler.device_id, bob.user_id)]
    # Of the other account, of none, and often the same.
    wanted += [(pump.device_id, bob.user_id), ("none", alice.user_id), ("..", "nobody")]
    asked = wanted * 30 + [(f"none-{number}", alice.user_id) for number in range(150)]
    found = await asyncio.gather(*(together.get(key) for key in asked))
    ids = [item["id"] if item else None for item in found]
    assert ids[:5] == [pump.device_id, boiler.device_id, None, None, None]
    assert ids == ids[:5] * 30 + [None] * 150
    assert (await together.get(wanted[1]) or {})["user_id"] == bob.user_id
    assert await together.get(wanted[2]) is None


def _devices(ota: Resources) -> Together[Key, Item]:
    container = ota.azure.database.get_container_client(DEVICES.name)
    return Together(partial(read_documents, container))


class Database:
    """Has a number for each key; a call sees it as it is when the call begins."""

    def __init__(self) -> None:
        self.number = 0
        self.calls: list[Sequence[str]] = []
        self.go = asyncio.Event()

    async def read(self, keys: Sequence[str]) -> Mapping[str, int]:
        number = self.number
        self.calls.append(keys)
        await self.go.wait()
        if "bad" in keys:
            raise ValueError("no answer")
        return dict.fromkeys(keys, number)


async def test_nobody_is_answered_what_was_read_before_it_was_asked() -> None:
    database = Database()
    together = Together(database.read)
    early = asyncio.create_task(together.get("job"))
    await all_wait()
    database.number = 1  # the job ends while it is being read
    late = [asyncio.create_task(together.get("job")) for _ in range(3)]
    await all_wait()
    late[0].cancel()  # hangs up, which must not stop the others' call
    await all_wait()
    database.go.set()
    assert await early == 0
    assert await asyncio.gather(*late[1:]) == [1, 1]
    assert database.calls == [["job"], ["job"]]
    assert await together.get("job") == 1
    assert len(database.calls) == 3


async def test_a_call_that_fails_fails_for_all_who_are_in_it_and_for_nobody_else() -> None:
    database = Database()
    together = Together(database.read)
    database.go.set()
    asked = [*(f"{number}" for number in range(MOST)), "bad", "last"]
    results = await asyncio.gather(*map(together.get, asked), return_exceptions=True)
    assert results[:MOST] == [0] * MOST
    assert [type(each) for each in results[MOST:]] == [ValueError] * 2
    assert await together.get("last") == 0
    assert together == Together(database.read)  # nothing is left of them
