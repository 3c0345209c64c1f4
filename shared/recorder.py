"""What happens to every request of an HTTP service: correlation id, access log, metrics, headers,
last resort."""

import logging
import re
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.logs import correlation_id
from shared.replies import error_response

log = logging.getLogger(__name__)

CORRELATION_HEADER = "X-Correlation-Id"
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NO_ROUTE = "(no route)"
CLIENT_GONE = 499  # in logs and metrics only: nobody is there to be answered
PROBES = ("/healthz", "/readyz", "/metrics")

MAX_PATH = 4096
MAX_QUERY = 16 * 1024  # cursors and notes are long
MAX_HEADERS = 32 * 1024

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # keys and tickets stand in URLs
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True)
class Records:
    """Where a service's requests are written down."""

    log: logging.Logger
    requests: Counter  # by method, route and status
    seconds: Histogram  # by route
    named: Sequence[str] = ()  # of `request.state`: what is logged of each request, "" where absent


class RequestRecorder:
    """Names a request by its route's template and never by its path or query, which hold secrets.

    What a route puts into `request.state.logged` (a dict) is logged with its request, and what it
    puts into `request.state.reply_headers` goes with the reply.
    """

    def __init__(self, app: ASGIApp, records: Records) -> None:
        self.app = app
        self.records = records

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        given = Headers(scope=scope).get(CORRELATION_HEADER, "")
        correlation = given if _CORRELATION_ID.fullmatch(given) else uuid.uuid4().hex
        token = correlation_id.set(correlation)
        started = time.perf_counter()
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[CORRELATION_HEADER] = correlation
                for name, value in (HEADERS | state.get("reply_headers", {})).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if refusal := _too_long(scope):
                await refusal(scope, receive, send_with_headers)
            else:
                await self.app(scope, receive, send_with_headers)
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception:
            log.exception("a request failed")
            if status:
                raise  # the server cuts the connection: a half reply must not look whole
            sentence = f"Something went wrong here; report it with the id {correlation}."
            reply = error_response(500, sentence)
            await reply(scope, receive, send_with_headers)
        finally:
            self._record(scope, status, time.perf_counter() - started)
            correlation_id.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = self._route(scope)
        method = scope["method"] if scope["method"] in _METHODS else "(other)"
        self.records.requests.labels(method, route, status).inc()
        self.records.seconds.labels(route).observe(seconds)
        client = scope.get("client")
        self.records.log.log(
            logging.DEBUG if route in PROBES else logging.INFO,
            "request",
            extra={
                "method": method,
                "route": route.replace("{webapi_key}", "[redacted]"),
                "status": status,
                "milliseconds": round(seconds * 1000, 1),
                "client": client[0] if client else "",
            }
            | {name: scope["state"].get(name, "") for name in self.records.named}
            | scope["state"].get("logged", {}),
        )

    def _route(self, scope: Scope) -> str:
        path: str | None = getattr(scope.get("route"), "path", None)
        if path:
            return path
        # FastAPI names the matched route in the scope for its own routes only.
        return scope["path"] if scope["path"] in PROBES else NO_ROUTE


def _too_long(scope: Scope) -> Response | None:
    """The refusal of what no call of ours needs."""
    if len(scope["raw_path"]) > MAX_PATH:
        return error_response(414, f"The path is {MAX_PATH} bytes at most; send shorter ids.")
    if len(scope["query_string"]) > MAX_QUERY:
        return error_response(414, f"The query is {MAX_QUERY} bytes at most.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
        return error_response(431, f"The headers are {MAX_HEADERS} bytes at most.")
    return None
