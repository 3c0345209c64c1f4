"""What is refused to gateways and strangers is on the audit log."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.ota.logic.refusals import Concerned, Refused
from services.ota.resources import Resources
from shared.replies import error_response

# Dots as a segment, a backslash or a control character; and the same encoded twice over, since
# what stands behind another server may decode once more.
_TRAVERSAL = re.compile(
    r"(?:^|/)(?:\.|%2e){1,2}(?:/|$)|\\|[\x00-\x1f\x7f]|%(?:2e|2f|5c|[01][0-9a-f])", re.IGNORECASE
)


@asynccontextmanager
async def noted(request: Request) -> AsyncIterator[None]:
    """Writes down what is refused within the block, and lets it pass."""
    try:
        yield
    except Refused as refused:
        await _note(request, refused)
        raise


class PathGuard:
    """Refuses a path that leads to somewhere else, before any route or store sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or not leads_elsewhere(scope["path"]):
            await self.app(scope, receive, send)
            return
        sentence = "There is nothing at this path: no name here has '..', '\\' or the like in it."
        refused = Refused(404, sentence, Concerned("pathRefused"))
        await _note(Request(scope), refused)
        await error_response(refused.status, sentence)(scope, receive, send)


def leads_elsewhere(path: str) -> bool:
    """Whether a path, decoded once, could mean another one to whoever reads it."""
    return _TRAVERSAL.search(path) is not None


def client_address(request: Request) -> str:
    """Where the request comes from; "" where that is unknown."""
    return request.client.host if request.client else ""


async def _note(request: Request, refused: Refused) -> None:
    resources: Resources = request.app.state.resources
    await resources.refusals.note(refused, client_address(request))
