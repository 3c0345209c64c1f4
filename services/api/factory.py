"""Puts the api together."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from services.api.logic.usage import writing
from services.api.middleware import RequestRecorder
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
    keys,
    notifications,
    operator,
    orders,
    pairing,
    parked,
    people,
    sessions,
    timeline,
    user_messages,
)
from services.api.routes.errors import add_error_handlers
from services.api.settings import ApiSettings
from shared.health import Check, health_routes

# In the order in which the reference shows them.
ROUTERS = (
    devices.router,
    pairing.router,
    device_settings.router,
    timeline.router,
    orders.router,
    user_messages.router,
    groups.router,
    notifications.router,
    parked.router,
    apps.router,
    account.router,
    keys.router,
    people.router,
    sessions.router,
    audit.router,
    operator.router,
    home.router,
    docs.router,
)

DESCRIPTION = """
The cloud of the X400 gateway: your devices, their status and statistics, and messages to them.

Every call is made under `/api/user/{userid}/{webapi_key}`. Put `-` in the key's place and the
key into the header `X-API-Key`, and it stands in no URL. Every refusal carries a fitting HTTP
status and the body `{"error": "..."}`; every reply carries `X-Correlation-Id`.
"""


def create_app(settings: ApiSettings) -> FastAPI:
    """The api, ready to be served; clients are opened when it starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources(settings) as resources, writing(resources.key_uses):
            app.state.resources = resources
            yield

    app = FastAPI(
        title="MyMote",
        version="0.1.0",
        description=DESCRIPTION,
        lifespan=lifespan,
        # A redirect would carry the key into another log line.
        redirect_slashes=False,
        docs_url=None,  # routes/docs.py has a page of our own
        redoc_url=None,
    )
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes.extend(health_routes(lambda: _checks(app.state.resources)))
    add_error_handlers(app)
    app.add_middleware(RequestRecorder)
    _describe(app)
    return app


def _checks(resources: Resources) -> Mapping[str, Check]:
    return {"cosmos": resources.accounts.ping, "iothub": resources.hub.ping}


def _describe(app: FastAPI) -> None:
    """FastAPI documents a 422 that this api never answers: invalid requests get a 400."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        document = generate()
        for operations in document["paths"].values():
            for operation in operations.values():
                operation["responses"].pop("422", None)
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to extend it
