"""An OTA service as `services.api.store.ota` describes it: a real server, for tests of the api.

It keeps documents where the real one does, and hashes binaries without keeping them.
"""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvicorn
from azure.core import MatchConditions
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from services.api.resources import Resources
from shared.schemas.artifacts import AppDocument, AppVersionDocument, FirmwareDocument
from shared.schemas.jobs import ENDS, Job, JobKind, JobState, JobStep

KEY = "5ec4e7" * 8  # that the api and the OTA service share
DOWNLOAD_KEY = "d0" * 32
ACCOUNT = "/internal/accounts/{user_id}"


@dataclass
class OtaService:
    """`odd`: what it answers to everything, while a test wants it to. `go` may be cleared to hold
    its answers, which sets `asked`; `read`, to hold it before each piece of a binary."""

    resources: Resources
    url: str
    orders: list[dict[str, Any]] = field(default_factory=list)
    # Of each binary that was cut off, the bytes that came.
    aborted: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    odd: Response | None = None
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)
    read: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.go.set()
        self.read.set()

    @property
    def app(self) -> Starlette:
        apps, version = f"{ACCOUNT}/apps", f"{ACCOUNT}/apps/{{app_id}}/versions"
        device = f"{ACCOUNT}/devices/{{device_id}}"
        table: list[tuple[str, str, Any]] = [
            ("POST", apps, self.create_app),
            ("PATCH", f"{apps}/{{app_id}}", self.rename_app),
            ("DELETE", f"{apps}/{{app_id}}", self.delete_app),
            ("POST", version, self.upload_version),
            ("DELETE", f"{version}/{{version_id}}", self.delete_version),
            ("POST", f"{device}/app-orders", self.order),
            ("POST", f"{device}/firmware-orders", self.order),
            ("POST", f"{ACCOUNT}/jobs/{{job_id}}/cancel", self.cancel),
            ("POST", "/internal/firmware", self.upload_firmware),
            ("DELETE", "/internal/firmware/{firmware_id}", self.delete_firmware),
        ]
        return Starlette(
            routes=[
                Route(path, self._guarded(call), methods=[method]) for method, path, call in table
            ]
        )

    def _guarded(self, call: Any) -> Any:
        async def answer(request: Request) -> Response:
            if request.headers.get("authorization") != f"Bearer {KEY}":
                return _error(401, "Wrong key.")
            assert request.headers["x-correlation-id"]
            if not self.go.is_set():
                self.asked.set()
                await self.go.wait()
            if self.odd is not None:
                return self.odd
            reply: Response = await call(request)
            return reply

        return answer

    async def create_app(self, request: Request) -> Response:
        given = await request.json()
        app = AppDocument(
            id=given["id"],
            user_id=request.path_params["user_id"],
            name=given["name"],
            created_at=datetime.now(UTC),
        )
        with suppress(CosmosResourceExistsError):
            await self.resources.apps.container.create_item(app.model_dump(mode="json"))
        return JSONResponse(app.model_dump(mode="json"), 201)

    async def rename_app(self, request: Request) -> Response:
        path = request.path_params
        name = (await request.json())["name"]
        try:
            item = await self.resources.apps.container.patch_item(
                path["app_id"],
                path["user_id"],
                [{"op": "set", "path": "/name", "value": name}],
                etag=request.headers["if-match"],
                match_condition=MatchConditions.IfNotModified,
            )
        except CosmosAccessConditionFailedError:
            return _error(412, "It changed.")
        return JSONResponse(AppDocument.model_validate(item).model_dump(mode="json"))

    async def delete_app(self, request: Request) -> Response:
        path = request.path_params
        return await self._delete(path["app_id"], path["user_id"])

    async def delete_version(self, request: Request) -> Response:
        path = request.path_params
        return await self._delete(path["version_id"], path["user_id"])

    async def _delete(self, item_id: str, user_id: str) -> Response:
        try:
            await self.resources.apps.container.delete_item(item_id, user_id)
        except CosmosResourceNotFoundError:
            return _error(404, "There is none.")
        return JSONResponse({"result": "deleted"})

    async def upload_version(self, request: Request) -> Response:
        path, read = request.path_params, await self._hash(request)
        if isinstance(read, Response):
            return read
        made = AppVersionDocument(
            id=f"v{read['sha256'][:16]}",
            user_id=path["user_id"],
            app_id=path["app_id"],
            **read,
        )
        item = made.model_dump(mode="json")
        await self.resources.apps.container.upsert_item(item)
        return JSONResponse(item, 201)

    async def upload_firmware(self, request: Request) -> Response:
        read = await self._hash(request)
        if isinstance(read, Response):
            return read
        kind = request.query_params["type"]
        made = FirmwareDocument(id=f"f{read['sha256'][:16]}", type=kind, **read)
        item = made.model_dump(mode="json")
        await self.resources.firmware.container.upsert_item(item)
        return JSONResponse(item, 201)

    async def delete_firmware(self, request: Request) -> Response:
        found = await self.resources.firmware.get(request.path_params["firmware_id"])
        if found is None:
            return _error(404, "There is none.")
        await self.resources.firmware.container.delete_item(found.id, found.type)
        return JSONResponse({"result": "deleted"})

    async def _hash(self, request: Request) -> dict[str, Any] | Response:
        assert request.headers["content-type"] == "application/octet-stream"
        md5, sha256, size = hashlib.md5(), hashlib.sha256(), 0
        try:
            async for piece in request.stream():
                await self.read.wait()
                size += len(piece)
                md5.update(piece)
                sha256.update(piece)
        except ClientDisconnect:
            self.aborted.put_nowait(size)
            return Response()
        digest = base64.b64encode(md5.digest()).decode()
        if request.headers.get("content-md5", digest) != digest:
            return _error(400, "The body is not what its Content-MD5 says.")
        query = request.query_params
        return {
            "name": query["name"],
            "version": query["version"],
            "note": query["note"],
            "created_at": datetime.now(UTC),
            "filepath": f"bin/{sha256.hexdigest()}",
            "download_key": DOWNLOAD_KEY,
            "sig_md5": digest,
            "sha256": sha256.hexdigest(),
            "signature": "",
            "size": size,
        }

    async def order(self, request: Request) -> Response:
        order = request.path_params | await request.json()
        self.orders.append(order)
        job = await self._job(order)
        with suppress(CosmosResourceExistsError):
            await self.resources.jobs.container.create_item(job.model_dump(mode="json"))
        return JSONResponse({"result": "ordered"})

    async def _job(self, order: dict[str, Any]) -> Job:
        now = datetime.now(UTC)
        artifact: AppVersionDocument | FirmwareDocument | None
        if "app_id" in order:
            place = (order["user_id"], order["app_id"])
            app = await self.resources.apps.get(*place)
            artifact = await self.resources.apps.version(*place, order["version_id"])
            assert app is not None
            name = app[0].name
        else:
            artifact = await self.resources.firmware.get(order["firmware_id"])
            name = artifact.name if artifact else ""
        assert artifact is not None
        return Job(
            **{name: order[name] for name in ("id", "user_id", "device_id", "ordered_by")},
            kind=JobKind.APP if "app_id" in order else JobKind.FIRMWARE,
            paired_at=now,
            app_id=order.get("app_id", ""),
            artifact_id=artifact.id,
            name=name,
            md5=artifact.sig_md5,
            **artifact.model_dump(include={"version", "size", "sha256", "filepath", "blob_etag"}),
            created_at=now,
            state_at=now,
            steps=[JobStep(state=JobState.QUEUED, at=now)],
        )

    async def cancel(self, request: Request) -> Response:
        path = request.path_params
        job = await self.resources.jobs.get(path["user_id"], path["job_id"])
        if job is None:
            return _error(404, "There is none.")
        if job.state in {*ENDS, JobState.INSTALLING}:
            return _error(409, f"The job is {job.state} already.")
        by = (await request.json())["cancelled_by"]
        await self.move(job, JobState.CANCELLED, f"Cancelled by {by}.")
        return JSONResponse({"result": "cancelled"})

    async def move(self, job: Job, state: JobState, reason: str = "", percent: int = 0) -> Job:
        """The job in another state, stored."""
        now = datetime.now(UTC)
        step = JobStep(state=state, at=now, reason=reason, percent=percent)
        moved = job.model_copy(
            update={
                "state": state,
                "state_at": now,
                "reason": reason,
                "percent": percent,
                "steps": [*job.steps, step],
                "finished_at": now if state in ENDS else None,
            }
        )
        await self.resources.jobs.container.upsert_item(moved.model_dump(mode="json"))
        return moved


def _error(status: int, sentence: str) -> JSONResponse:
    return JSONResponse({"error": sentence}, status)


async def _started(server: uvicorn.Server) -> None:
    while True:
        if server.started:
            return
        await asyncio.sleep(0.01)


@asynccontextmanager
async def serving(service: OtaService) -> AsyncIterator[None]:
    """The service on the port of its url, in this process."""
    port = int(service.url.rpartition(":")[2])
    config = uvicorn.Config(service.app, port=port, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    running = asyncio.create_task(server._serve())
    try:
        await asyncio.wait_for(_started(server), 10)
        yield
    finally:
        server.should_exit = True
        await running
