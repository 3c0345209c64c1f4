"""Storage is asked once for all who want to know, by a question that is not older than theirs."""

import asyncio

import pytest

from services.ota.logic.checks import Checks
from services.ota.logic.chunks import Blob

BLOB = Blob("b", "e", 5)


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
    checks = Checks(storage.look)
    early = [asyncio.create_task(checks.check(BLOB)) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert storage.began == 1
    late = [asyncio.create_task(checks.check(BLOB)) for _ in range(5)]
    other = asyncio.create_task(checks.check(Blob("another", "e", 5)))
    await asyncio.sleep(0.01)
    late[0].cancel()  # hangs up, which must not stop the others' look
    storage.go.set()
    assert await asyncio.gather(*early) == [None] * 5
    results = await asyncio.gather(*late[1:], return_exceptions=True)
    assert len(results) == 4
    await asyncio.gather(other, return_exceptions=True)
    assert storage.began == 3


async def test_a_blob_that_changes_is_seen_by_whoever_asks_then() -> None:
    storage = Storage(True, False, True)
    checks = Checks(storage.look)
    early = asyncio.create_task(checks.check(BLOB))
    await asyncio.sleep(0.01)
    late = [asyncio.create_task(checks.check(BLOB)) for _ in range(3)]
    storage.go.set()
    await early
    results = await asyncio.gather(*late, return_exceptions=True)
    assert [type(each) for each in results] == [ValueError] * 3
    await checks.check(BLOB)
    assert storage.began == 3


async def test_nothing_is_left_of_looks_that_failed() -> None:
    storage = Storage(False, False)
    storage.go.set()
    checks = Checks(storage.look)
    for _ in range(2):
        with pytest.raises(ValueError, match="changed"):
            await checks.check(BLOB)
    assert checks == Checks(storage.look)
