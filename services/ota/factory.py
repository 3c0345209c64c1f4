"""Puts the OTA service together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from starlette.datastructures import State

from services.ota.consumer import Consumer, consuming
from services.ota.logic.work import work
from services.ota.middleware import RECORDS
from services.ota.resources import Resources, open_resources
from services.ota.routes import apps, download, firmware, keys, orders
from services.ota.routes.refusing import PathGuard
from services.ota.settings import OtaSettings
from services.ota.sweeper import sweeping
from shared.health import Check, health_routes
from shared.recorder import RequestRecorder
from shared.replies import add_error_handlers

ROUTERS: tuple[APIRouter, ...] = (
    apps.router,
    firmware.router,
    orders.router,
    keys.router,
    download.router,
)

REFUSALS = {
    404: "There is nothing at this path.",
    405: "This path does not take this method; see the header Allow.",
}


def create_app(settings: OtaSettings) -> FastAPI:
    """The OTA service, ready to be served; clients are opened when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_resources(settings) as resources,
            sweeping(resources.stores, settings.ota_sweep_every),
            work(resources.worker, settings.ota_look_every),
            consuming(resources.azure, settings.ota_consumer_group, resources.worker) as consumer,
        ):
            app.state.resources = resources
            app.state.consumer = consumer
            yield

    app = FastAPI(
        title="MyMote OTA",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    add_error_handlers(app, REFUSALS)
    app.add_middleware(PathGuard)
    app.add_middleware(RequestRecorder, records=RECORDS)
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes.extend(health_routes(lambda: _checks(app.state)))
    return app


def _checks(state: State) -> Mapping[str, Check]:
    resources: Resources = state.resources
    consumer: Consumer = state.consumer
    return {
        "cosmos": resources.azure.database.read,
        "iothub": resources.hub.ping,
        "blobs": resources.stores.blobs.answers,
        "consumer": consumer.check,
    }
