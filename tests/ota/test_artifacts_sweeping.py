"""What an interrupted deletion leaves: nothing that nobody finds, and no mark for long."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from services.ota.documents import Upload
from services.ota.logic import apps
from services.ota.logic.uploads import OLD_DELETION, Stores, sweep
from services.ota.resources import Resources
from services.ota.store.apps import Apps, HeldVersion
from services.ota.store.blobs import Blobs
from shared import point
from shared.errors import Conflict, Unavailable
from shared.schemas.artifacts import AppDocument, AppVersionDocument
from shared.schemas.jobs import JobState
from tests.ota.artifact_calls import USER, blobs_of, intents, make_app, uploaded
from tests.ota.test_artifacts_deletion import job_of

LATER = OLD_DELETION + timedelta(minutes=1)


@pytest.fixture
async def app(ota_client: httpx.AsyncClient) -> AppDocument:
    return await make_app(ota_client)


class Mortal(Blobs):
    """Where a deletion is killed: it removes no blob any more, and so no intent."""

    async def discard(self, filepath: str) -> None:
        raise Unavailable(filepath)


def mortal(stores: Stores) -> Stores:
    return replace(stores, blobs=Mortal(stores.blobs.container))


@dataclass(frozen=True)
class Meanwhile(Apps):
    """Somebody else does something, once: after a mark was taken back, or a version was read."""

    unmarked: list[Callable[[], Awaitable[None]]]
    read: list[Callable[[], Awaitable[None]]]

    async def replace_version(self, version: AppVersionDocument, etag: str) -> str | None:
        found = await super().replace_version(version, etag)
        if not version.deleting and self.unmarked:
            await self.unmarked.pop()()
        return found

    async def version(self, user_id: str, version_id: str) -> HeldVersion | None:
        found = await super().version(user_id, version_id)
        if self.read:
            await self.read.pop()()
        return found


async def test_a_deletion_that_is_refused_leaves_the_intent_of_another_one(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    version = await uploaded(ota_client, app, b"x")
    jobs, job = ota.stores.in_use.container, job_of(version)
    etag = await point.create(jobs, job)
    assert etag is not None

    async def job_ends_and_second_deletion() -> None:
        ended = job.model_copy(update={"state": JobState.SUCCEEDED})
        assert await point.replace(jobs, ended, etag)
        await apps.delete_version(mortal(ota.stores), USER, app.id, version.id)

    slow = Meanwhile(ota.stores.apps.container, [job_ends_and_second_deletion], [])
    with pytest.raises(Conflict, match=job.id):
        await apps.delete_version(replace(ota.stores, apps=slow), USER, app.id, version.id)
    await _goes_with_the_next_sweep(ota, version)


async def test_a_sweep_leaves_the_intent_of_a_deletion_that_goes_on_beside_it(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    version = await uploaded(ota_client, app, b"x")
    old = datetime.now(UTC) - LATER
    begun = Upload(
        id=version.id,
        kind="app",
        partition=USER,
        filepath=version.filepath,
        deletion=True,
        created_at=old,
    )
    await ota.stores.uploads.begin(begun)

    async def deletion() -> None:
        """As one that began long ago and takes its time."""
        await apps.delete_version(mortal(ota.stores), USER, app.id, version.id)
        await ota.stores.uploads.begin(begun)

    slow = Meanwhile(ota.stores.apps.container, [], [deletion])
    assert await sweep(replace(ota.stores, apps=slow)) == 0
    await _goes_with_the_next_sweep(ota, version)


async def test_the_mark_of_a_deletion_that_failed_is_taken_back_within_minutes(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    class Silent(Apps):
        async def remove(self, *_given: object) -> bool:
            raise Unavailable("silent")

    version = await uploaded(ota_client, app, b"x")
    silent = replace(ota.stores, apps=Silent(ota.stores.apps.container))
    with pytest.raises(Unavailable):
        await apps.delete_version(silent, USER, app.id, version.id)
    waiting = Upload(id="slow", kind="app", partition=USER, filepath=f"apps/{USER}/slow.bin")
    await ota.stores.uploads.begin(waiting)  # an upload may take an hour
    assert await _marked(ota, version)
    assert await sweep(ota.stores) == 0
    assert await sweep(ota.stores, datetime.now(UTC) + LATER) == 1
    assert not await _marked(ota, version)
    assert await blobs_of(ota, version.filepath) == {version.filepath}
    assert await intents(ota) == [waiting.id]
    await ota.stores.uploads.done(waiting.id)


async def _marked(ota: Resources, version: AppVersionDocument) -> bool:
    held = await ota.stores.apps.version(USER, version.id)
    assert held is not None
    return held.version.deleting


async def _goes_with_the_next_sweep(ota: Resources, version: AppVersionDocument) -> None:
    assert await ota.stores.apps.version(USER, version.id) is None
    assert await blobs_of(ota, version.filepath) == {version.filepath}
    assert await intents(ota) == [version.id]
    assert await sweep(ota.stores, datetime.now(UTC) + LATER) == 1
    assert await blobs_of(ota, version.filepath) == set()
    assert await intents(ota) == []
