"""Making, renaming and deleting apps, versions and firmware; what is being sent stays."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from azure.cosmos.aio import ContainerProxy

from services.ota.logic import apps
from services.ota.resources import Resources
from services.ota.store.in_use import InUse
from shared import point
from shared.errors import Conflict
from shared.schemas.artifacts import AppDocument, AppVersionDocument, FirmwareDocument
from shared.schemas.jobs import Job, JobKind, JobState
from tests.known_secrets import keep
from tests.ota.artifact_calls import (
    BASE,
    BINARY,
    USER,
    blobs_of,
    intents,
    make_app,
    nothing_is_left,
    refused,
    uploaded,
)

DEVICE = f"X400_{'ab' * 20}"


@pytest.fixture
async def app(ota_client: httpx.AsyncClient) -> AppDocument:
    return await make_app(ota_client)


def job_of(artifact: AppVersionDocument | FirmwareDocument, user_id: str = USER) -> Job:
    """An order of it, as nobody works on."""
    now = datetime.now(UTC)
    return Job(
        id=str(uuid.uuid4()),
        user_id=user_id,
        kind=JobKind.APP if isinstance(artifact, AppVersionDocument) else JobKind.FIRMWARE,
        device_id=DEVICE,
        paired_at=now,
        app_id=artifact.app_id if isinstance(artifact, AppVersionDocument) else "",
        artifact_id=artifact.id,
        name="Pump control",
        version=artifact.version,
        size=artifact.size,
        md5=artifact.sig_md5,
        sha256=artifact.sha256,
        filepath=artifact.filepath,
        blob_etag=artifact.blob_etag,
        ordered_by="",
        created_at=now,
        state=JobState.DOWNLOADING,
        state_at=now,
    )


async def test_an_app_is_made_once_and_renamed_as_it_was_read(
    ota: Resources, ota_client: httpx.AsyncClient
) -> None:
    order = {"id": str(uuid.uuid4()), "name": "Pump"}
    made = [await ota_client.post(BASE, json=order) for _ in range(2)]
    assert [reply.status_code for reply in made] == [201, 201]
    assert made[0].json() == made[1].json()
    held = await ota.stores.apps.app(USER, order["id"])
    assert held is not None
    url = f"{BASE}/{order['id']}"
    first = {"If-Match": held.etag}
    renamed = await ota_client.patch(url, json={"name": "Pump 2"}, headers=first)
    assert renamed.json() == made[0].json() | {"name": "Pump 2"}
    refused(await ota_client.patch(url, json={"name": "Pump 3"}, headers=first), 412)
    refused(await ota_client.patch(url, json={"name": "Pump 3"}), 400)
    refused(await ota_client.patch(f"{BASE}/none", json={"name": "x"}, headers=first), 404)
    for name in ("", " ", "a\nb", "x" * 101, "../x", "a\\..\\b", ".."):
        refused(await ota_client.post(BASE, json={"id": "x", "name": name}), 400)
        refused(await ota_client.patch(url, json={"name": name}, headers=first), 400)
    for id_ in ("", "..", "a b", "x" * 65):
        refused(await ota_client.post(BASE, json={"id": id_, "name": "x"}), 400)


async def test_the_id_of_something_else_is_none_for_an_app(
    ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    version = await uploaded(ota_client, app, b"x")
    refused(await ota_client.post(BASE, json={"id": version.id, "name": "x"}), 409)


async def test_a_version_goes_with_its_blob_and_its_number_is_free_again(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    before = await blobs_of(ota, f"apps/{USER}/")
    first, second = [
        await uploaded(ota_client, app, b"x", version=version) for version in ("1.0.0", "1.1.0")
    ]
    url = f"{BASE}/{app.id}/versions"
    assert (await ota_client.delete(f"{url}/{second.id}")).json() == {"result": "deleted"}
    held = await ota.stores.apps.app(USER, app.id)
    assert held is not None
    assert held.app.last_app_version_id == first.id
    refused(await ota_client.delete(f"{url}/{second.id}"), 404)
    other = await make_app(ota_client)
    refused(await ota_client.delete(f"{BASE}/{other.id}/versions/{first.id}"), 404)
    await nothing_is_left(ota, app, {*before, first.filepath})
    again = await uploaded(ota_client, app, b"y", version="1.1.0")
    assert again.id != second.id


async def test_an_app_goes_with_more_versions_than_one_transaction_takes(
    ota: Resources,
    ota_client: httpx.AsyncClient,
    app: AppDocument,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = await blobs_of(ota, f"apps/{USER}/")
    await asyncio.gather(
        *(uploaded(ota_client, app, b"x", version=f"2.0.{each}") for each in range(5))
    )
    monkeypatch.setattr(apps, "REMOVED_AT_ONCE", 2)
    await apps.delete(ota.stores, USER, app.id)
    assert await ota.stores.apps.app(USER, app.id) is None
    assert await ota.stores.apps.claimed(USER, app.id, "2.0.0") == ""
    await nothing_is_left(ota, app, before)
    refused(await ota_client.delete(f"{BASE}/{app.id}"), 404)


async def test_what_is_being_sent_is_not_deleted(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    sent, other = [
        await uploaded(ota_client, app, b"x", version=version) for version in ("1.0.0", "1.1.0")
    ]
    jobs, job = ota.stores.in_use.container, job_of(sent)
    etag = await point.create(jobs, job)
    assert etag is not None
    url = f"{BASE}/{app.id}"
    for path in (f"{url}/versions/{sent.id}", url):
        sentence = refused(await ota_client.delete(path), 409)
        assert DEVICE in sentence
        assert job.id in sentence
    assert await intents(ota) == []
    for version in (sent, other):  # both can be ordered again
        held = await ota.stores.apps.version(USER, version.id)
        assert held is not None
        assert not held.version.deleting
    ended = job.model_copy(update={"state": JobState.SUCCEEDED})
    assert await point.replace(jobs, ended, etag)
    assert (await ota_client.delete(url)).status_code == 200


async def test_a_firmware_that_any_account_is_sending_is_not_deleted(
    ota: Resources, ota_client: httpx.AsyncClient
) -> None:
    made = await ota_client.post(
        "/internal/firmware",
        params={"type": "X400", "version": "9.1.0", "name": f"{uuid.uuid4().hex}.bin"},
        content=b"firmware",
        headers=BINARY,
    )
    firmware = FirmwareDocument.model_validate_json(made.content)
    keep(firmware.download_key)
    jobs, job = ota.stores.in_use.container, job_of(firmware, "u00somebody")
    assert await point.create(jobs, job)
    url = f"/internal/firmware/{firmware.id}"
    assert DEVICE in refused(await ota_client.delete(url), 409)
    held = await ota.stores.firmware.get(firmware.id)
    assert held is not None
    assert not held.firmware.deleting
    assert await point.delete(jobs, job.id, job.user_id)
    assert (await ota_client.delete(url)).status_code == 200
    assert await blobs_of(ota, firmware.filepath) == set()


class Meanwhile(InUse):
    """After the first look for jobs, somebody else does something."""

    def __init__(self, jobs: ContainerProxy, something: Callable[[], Awaitable[None]]) -> None:
        super().__init__(jobs)
        self.something = [something]

    async def open_job(self, artifact_ids: Sequence[str], user_id: str = "") -> Job | None:
        found = await super().open_job(artifact_ids, user_id)
        if self.something:
            await self.something.pop()()
        return found


async def test_an_order_that_a_deletion_did_not_see_sees_the_deletion(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    version = await uploaded(ota_client, app, b"x")
    seen = []

    async def order() -> None:
        """As an order is taken: the job first, then the artifact again."""
        job = job_of(version)
        assert await point.create(ota.stores.in_use.container, job)
        held = await ota.stores.apps.version(USER, version.id)
        seen.append(held is None or held.version.deleting)
        await point.delete(ota.stores.in_use.container, job.id, USER)

    in_use = Meanwhile(ota.stores.in_use.container, order)
    await apps.delete_version(replace(ota.stores, in_use=in_use), USER, app.id, version.id)
    assert seen == [True]
    assert await ota.stores.apps.version(USER, version.id) is None


async def test_a_mark_that_another_deletion_took_back_stops_the_first(
    ota: Resources, ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    version = await uploaded(ota_client, app, b"x")
    job = job_of(version)

    async def order_and_second_deletion() -> None:
        assert await point.create(ota.stores.in_use.container, job)
        with pytest.raises(Conflict):
            await apps.delete_version(ota.stores, USER, app.id, version.id)

    in_use = Meanwhile(ota.stores.in_use.container, order_and_second_deletion)
    with pytest.raises(Conflict, match=job.id):
        await apps.delete_version(replace(ota.stores, in_use=in_use), USER, app.id, version.id)
    held = await ota.stores.apps.version(USER, version.id)
    assert held is not None
    assert not held.version.deleting  # so the order, which looks now, goes on
    assert await blobs_of(ota, version.filepath) == {version.filepath}
    assert await point.delete(ota.stores.in_use.container, job.id, USER)


async def test_of_deletions_at_once_one_succeeds(
    ota_client: httpx.AsyncClient, app: AppDocument
) -> None:
    version = await uploaded(ota_client, app, b"x")
    url = f"{BASE}/{app.id}/versions/{version.id}"
    replies = await asyncio.gather(*(ota_client.delete(url) for _ in range(3)))
    assert sorted(reply.status_code for reply in replies) == [200, 404, 404]
