"""Where the api's requests are written down, and what answers HEAD."""

import logging

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.recorder import Records

RECORDS = Records(
    logging.getLogger("services.api.access"),
    Counter(
        "mymote_api_requests",
        "Requests answered, by route and status",
        ["method", "route", "status"],
    ),
    Histogram(
        "mymote_api_request_seconds", "Time from a request's head to its reply's end", ["route"]
    ),
    named=("user_id", "device_id"),  # of callers that proved who they are
)


class HeadAsGet:
    """What answers GET answers HEAD; the server leaves the body away."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return
        inner = {**scope, "method": "GET"}
        try:
            await self.app(inner, receive, send)
        finally:
            scope["route"] = inner.get("route")  # for whoever writes the request down
