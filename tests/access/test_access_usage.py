"""The use of keys: counted in memory, added up in the database by all processes."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from azure.cosmos import PartitionKey
from azure.cosmos.exceptions import CosmosResourceNotFoundError
from hypothesis import given
from hypothesis import strategies as st

from services.api.documents.usage import KeyUse, OperationUse, together
from services.api.logic.ids import new_user_id
from services.api.logic.usage import UsageLog, writing
from services.api.resources import Resources
from services.api.store.usage import Usage

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
moments = st.integers(0, 1000).map(lambda seconds: NOW + timedelta(seconds=seconds))
uses = st.builds(
    KeyUse,
    id=st.just("k"),
    user_id=st.just("u"),
    at=moments,
    address=st.sampled_from(["192.0.2.1", "2001:db8::1"]),
    operations=st.dictionaries(
        st.sampled_from(["getDevice", "listDevices", "listGroups"]),
        st.builds(OperationUse, at=moments, count=st.integers(1, 10)),
    ),
)


@given(one=uses, two=uses)
def test_nothing_is_lost_when_parts_are_added_up(one: KeyUse, two: KeyUse) -> None:
    both = together(one, two)
    assert both.at == max(one.at, two.at)
    assert both.address in {each.address for each in (one, two) if each.at == both.at}
    for name, use in both.operations.items():
        parts = [each.operations[name] for each in (one, two) if name in each.operations]
        assert use.count == sum(part.count for part in parts)
        assert use.at == max(part.at for part in parts)
    assert both.operations.keys() == one.operations.keys() | two.operations.keys()


async def test_processes_add_up(resources: Resources) -> None:
    user_id = new_user_id()
    processes = [UsageLog(resources.usage) for _ in range(3)]
    for second, process in enumerate(processes):
        for name in ("getDevice", "listGroups"):
            process.note(user_id, "k", name, f"192.0.2.{second}", NOW + timedelta(seconds=second))
    seen = await processes[0].of_account(user_id)
    assert seen["k"].operations["getDevice"].count == 1, "before anything is written"
    await asyncio.gather(*(process.write() for process in processes))
    for process in processes:
        use = (await process.of_account(user_id))["k"]
        assert {name: each.count for name, each in use.operations.items()} == {
            "getDevice": 3,
            "listGroups": 3,
        }
        assert (use.at, use.address) == (NOW + timedelta(seconds=2), "192.0.2.2")


@dataclass(frozen=True)
class SlowUsage(Usage):
    """A database that takes its time to write."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def add(self, use: KeyUse) -> None:
        self.begun.set()
        await self.go.wait()
        await super().add(use)


async def test_what_is_being_written_is_counted_once(resources: Resources) -> None:
    user_id = new_user_id()
    slow = SlowUsage(resources.usage.container)
    process = UsageLog(slow)
    process.note(user_id, "k", "getDevice", "192.0.2.1", NOW)
    written = asyncio.create_task(process.write())
    await slow.begun.wait()
    asked = asyncio.create_task(process.of_account(user_id))
    process.note(user_id, "k", "getDevice", "192.0.2.1", NOW)
    await asyncio.wait([asked], timeout=0.05)  # so long nobody answers
    slow.go.set()
    assert (await asked)["k"].operations["getDevice"].count == 2
    await written


async def test_the_last_use_is_written_when_a_process_stops(resources: Resources) -> None:
    user_id = new_user_id()
    process = UsageLog(resources.usage)
    async with writing(process):
        process.note(user_id, "k", "getDevice", "192.0.2.1", NOW)
    [use] = await resources.usage.of_account(user_id)
    assert use.operations["getDevice"].count == 1


async def test_what_cannot_be_written_is_written_later(resources: Resources) -> None:
    user_id, database = new_user_id(), resources.azure.database
    container = database.get_container_client(f"usage-{user_id}")
    process = UsageLog(Usage(container))
    for _ in range(2):
        process.note(user_id, "k", "getDevice", "192.0.2.1", NOW)
        with pytest.raises(CosmosResourceNotFoundError):
            await process.write()
    await database.create_container(container.id, PartitionKey("/user_id"))
    await process.write()
    await process.write()
    [use] = await Usage(container).of_account(user_id)
    assert use.operations["getDevice"].count == 2
    await database.delete_container(container.id)


async def test_revoked_keys_are_forgotten(resources: Resources) -> None:
    user_id = new_user_id()
    process = UsageLog(resources.usage)
    for key in ("kept", "revoked"):
        process.note(user_id, key, "getDevice", "192.0.2.1", NOW)
    await process.write()
    process.note(user_id, "revoked", "getDevice", "192.0.2.1", NOW)
    await process.tidy(user_id, {"kept"})
    await process.write()
    assert list(await process.of_account(user_id)) == ["kept"]


async def test_what_a_revoked_key_did_last_is_not_written_any_more(resources: Resources) -> None:
    user_id = new_user_id()
    process = UsageLog(resources.usage)
    process.note(user_id, "revoked", "getDevice", "192.0.2.1", NOW)
    process.note(user_id, "kept", "getDevice", "192.0.2.1", NOW)
    await process.tidy(user_id, {"kept"})
    await process.write()
    assert [use.id for use in await resources.usage.of_account(user_id)] == ["kept"]
