"""Orders as the api gives them, and what became of them."""

import asyncio
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import httpx

from services.api.logic import pairing
from services.api.logic.manufacturing import Manufactured
from services.ota.resources import Resources
from shared.schemas.artifacts import AppVersionDocument, FirmwareDocument
from shared.schemas.documents import TimelineEntry
from shared.schemas.jobs import Job, JobState
from tests.api.customers import Customer, new_gateway, pairing_request
from tests.known_secrets import keep

APP = "Pump control"
BINARY = {"Content-Type": "application/octet-stream"}
SECONDS = 60
POLL = 0.05


@dataclass(frozen=True)
class Shelf:
    """What an account can order: an app in two versions, and a firmware."""

    user_id: str
    app_id: str
    versions: dict[str, AppVersionDocument]
    firmware: FirmwareDocument


@dataclass(frozen=True)
class Orders:
    """The OTA service's calls for one account."""

    ota: Resources
    client: httpx.AsyncClient
    shelf: Shelf

    async def app(
        self, device_id: str, version: str = "1.0.0", order_id: str = "", status: int = 200
    ) -> str:
        """The order's id."""
        body = {"app_id": self.shelf.app_id, "version_id": self.shelf.versions[version].id}
        return await self._order(device_id, "app-orders", body, order_id, status)

    async def firmware(self, device_id: str, order_id: str = "", status: int = 200) -> str:
        """The order's id."""
        body = {"firmware_id": self.shelf.firmware.id}
        return await self._order(device_id, "firmware-orders", body, order_id, status)

    async def cancel(self, job_id: str) -> httpx.Response:
        path = f"/internal/accounts/{self.shelf.user_id}/jobs/{job_id}/cancel"
        return await self.client.post(path, json={"cancelled_by": "the dashboard"})

    async def job(self, job_id: str) -> Job:
        held = await self.ota.worker.stores.jobs.get(self.shelf.user_id, job_id)
        assert held is not None
        return held.job

    async def until(self, job_id: str, wanted: Callable[[Job], bool]) -> Job:
        """The job as soon as it is as wanted."""
        job = await self.job(job_id)
        try:
            async with asyncio.timeout(SECONDS):
                while not wanted(job):
                    await asyncio.sleep(POLL)
                    job = await self.job(job_id)
        except TimeoutError:
            raise AssertionError(f"the job stays {job.state}: {job.steps}") from None
        return job

    async def reaches(self, job_id: str, state: JobState) -> Job:
        return await self.until(job_id, lambda job: job.state is state)

    async def reaches_attempt(self, job_id: str, attempt: int) -> Job:
        return await self.until(job_id, lambda job: job.attempt >= attempt)

    async def tidied(self, job_id: str, state: JobState) -> Job:
        """The job at its end, when all is done that follows from it."""
        job = await self.until(job_id, lambda job: job.finished_at is not None and not job.due_at)
        assert job.state is state, job.steps
        assert [step.state for step in job.steps].count(state) == 1
        assert await self.desired(job) is None
        entry = await self.entry(job)
        assert job.reason in entry.detail
        return job

    async def desired(self, job: Job) -> object:
        twin = await self.ota.hub.get_twin(job.device_id)
        return twin.desired.get(f"ota_{job.kind}")

    async def entry(self, job: Job) -> TimelineEntry:
        """Of the device's timeline."""
        container = self.ota.worker.stores.timeline.container
        item = await container.read_item(f"job-{job.id}-end", partition_key=job.device_id)
        return TimelineEntry.model_validate(item)

    async def _order(
        self, device_id: str, what: str, body: dict[str, str], order_id: str, status: int
    ) -> str:
        order_id = order_id or str(uuid.uuid4())
        reply = await self.client.post(
            f"/internal/accounts/{self.shelf.user_id}/devices/{device_id}/{what}",
            json=body | {"id": order_id, "ordered_by": "a test"},
        )
        assert reply.status_code == status, reply.text
        return order_id


async def stock(client: httpx.AsyncClient, user_id: str) -> Shelf:
    """An app and a firmware of an account, uploaded."""
    apps = f"/internal/accounts/{user_id}/apps"
    app = (await client.post(apps, json={"id": str(uuid.uuid4()), "name": APP})).json()
    versions = {}
    for version in ("1.0.0", "1.1.0"):
        reply = await client.post(
            f"{apps}/{app['id']}/versions",
            params={"version": version, "name": "pump.bin", "note": ""},
            content=f"app {version}".encode() * 100,
            headers=BINARY,
        )
        assert reply.status_code == 201, reply.text
        keep(reply.json()["download_key"])
        versions[version] = AppVersionDocument.model_validate_json(reply.content)
    reply = await client.post(
        "/internal/firmware",
        params={"version": "2.0.0", "name": f"core-{user_id}", "note": "", "type": "X400"},
        content=b"firmware" * 100,
        headers=BINARY,
    )
    assert reply.status_code == 201, reply.text
    keep(reply.json()["download_key"])
    firmware = FirmwareDocument.model_validate_json(reply.content)
    return Shelf(user_id, app["id"], versions, firmware)


async def paired_gateway(stores: pairing.Stores, owner: Customer) -> Manufactured:
    """A new gateway of an account."""
    gateway = await new_gateway(stores)
    await pairing.pair(stores, pairing_request(owner, gateway, "Pump"))
    return gateway
