"""Who may use the internal interface: whoever has the service's key."""

import hmac
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from services.ota.resources import Resources
from shared.replies import error_response


class InternalRoute(APIRoute):
    """Compares the key before anything of the request is read, in constant time."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's, behind the key."""
        handle = super().get_route_handler()

        async def authorized(request: Request) -> Response:
            key = request.app.state.resources.settings.ota_key.get_secret_value()
            given = request.headers.get("authorization", "")
            if not hmac.compare_digest(given.encode(), f"Bearer {key}".encode()):
                sentence = "This needs the OTA service's key; give the api the same MYMOTE_OTA_KEY."
                return error_response(401, sentence, {"WWW-Authenticate": "Bearer"})
            return await handle(request)

        return authorized


def internal_router() -> APIRouter:
    """A router for paths below /internal; each of its calls needs the key."""
    return APIRouter(prefix="/internal", route_class=InternalRoute)


def _resources(request: Request) -> Resources:
    opened: Resources = request.app.state.resources
    return opened


Opened = Annotated[Resources, Depends(_resources)]
