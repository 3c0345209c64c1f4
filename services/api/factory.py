"""Puts the api together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware

from services.api.logic import outbox_work
from services.api.logic.usage import writing
from services.api.middleware import RECORDS, HeadAsGet
from services.api.resources import Resources, open_resources
from services.api.routes import (
    account,
    apps,
    audit,
    device_settings,
    devices,
    docs,
    groups,
    home,
    jobs,
    join,
    keys,
    notifications,
    operator,
    operator_firmware,
    orders,
    ota_orders,
    pairing,
    parked,
    people,
    sessions,
    timeline,
    user_messages,
)
from services.api.routes.errors import add_error_handlers
from services.api.routes.openapi import DESCRIPTION, describe
from services.api.settings import ApiSettings
from shared.health import Check, health_routes
from shared.recorder import RequestRecorder

# In the order in which the reference shows them.
ROUTERS = (
    devices.router,
    pairing.router,
    device_settings.router,
    timeline.router,
    orders.router,
    ota_orders.router,
    user_messages.router,
    groups.router,
    notifications.router,
    parked.router,
    apps.router,
    jobs.router,
    account.router,
    keys.router,
    people.router,
    people.public,
    sessions.public,
    sessions.router,
    audit.router,
    operator.router,
    operator_firmware.router,
    home.router,
    join.router,
    docs.router,
)
GZIP_BYTES = 1000  # smaller replies are not worth the work
GZIP_LEVEL = 4  # a long list keeps the process busy while it is compressed


def create_app(settings: ApiSettings) -> FastAPI:
    """The api, ready to be served; clients are opened when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with (
            open_resources(settings) as resources,
            writing(resources.key_uses),
            outbox_work.work(resources.sender),
        ):
            app.state.resources = resources
            yield

    app = FastAPI(
        title="MyMote",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        # A redirect would carry the key into another log line.
        redirect_slashes=False,
        openapi_url=None,  # routes/docs.py serves it, and a page of our own
    )
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes.extend(health_routes(lambda: _checks(app.state.resources)))
    add_error_handlers(app)
    app.add_middleware(GZipMiddleware, minimum_size=GZIP_BYTES, compresslevel=GZIP_LEVEL)
    app.add_middleware(HeadAsGet)
    app.add_middleware(RequestRecorder, records=RECORDS)
    describe(app)
    return app


def _checks(resources: Resources) -> Mapping[str, Check]:
    return {"cosmos": resources.accounts.ping, "iothub": resources.hub.ping}
