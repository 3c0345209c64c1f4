"""Who may make the calls of the platform's operator."""

import hmac
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response

from services.api.routes.dependencies import opened
from services.api.routes.router import StrictRoute, spend_as_stranger
from shared.errors import NotAvailable, Unauthorized

HEADER = "X-Operator-Key"


class OperatorRoute(StrictRoute):
    """A call that needs the operator's key; guesses are few, and the right key always passes."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The strict one, behind that."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            await _require_operator(request)
            return await answer(request)

        return handle


def operator_router() -> APIRouter:
    """A router for these calls."""
    return APIRouter(prefix="/api/operator", tags=["operator"], route_class=OperatorRoute)


async def _require_operator(request: Request) -> None:
    key = opened(request).settings.operator_key
    if key is None:
        raise NotAvailable(
            "This installation has no operator's API; set MYMOTE_OPERATOR_KEY, or use the command "
            "line, mymote-operator."
        )
    given = request.headers.get(HEADER, "")
    if not hmac.compare_digest(given.encode(), key.get_secret_value().encode()):
        spend_as_stranger(request)
        raise Unauthorized(f"This needs the operator's key in the header {HEADER}.")
