"""What happens to every request: correlation id, access log, metrics, headers, last resort."""

import logging
import re
import time
import uuid

from prometheus_client import Counter, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.routes.errors import error_response
from shared.logs import correlation_id

access_log = logging.getLogger("services.api.access")
log = logging.getLogger(__name__)

REQUESTS = Counter(
    "mymote_api_requests", "Requests answered, by route and status", ["method", "route", "status"]
)
SECONDS = Histogram(
    "mymote_api_request_seconds", "Time from a request's head to its reply's end", ["route"]
)

CORRELATION_HEADER = "X-Correlation-Id"
_CORRELATION_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
NO_ROUTE = "(no route)"
CLIENT_GONE = 499  # in logs and metrics only: nobody is there to be answered
PROBES = ("/healthz", "/readyz", "/metrics")
# FastAPI names the matched route in the scope for its own routes only.
FIXED_PATHS = (*PROBES, "/openapi.json")

MAX_PATH = 4096
MAX_QUERY = 16 * 1024  # cursors are long
MAX_HEADERS = 32 * 1024

HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",  # API keys stand in URLs by contract
    "X-Content-Type-Options": "nosniff",
}


class RequestRecorder:
    """Names a request by its route's template and never by its path, which holds the key."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        # What answers GET answers HEAD; the server leaves the body away.
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
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
                more = inner.get("state", {}).get("reply_headers", {})  # of the call's route
                for name, value in (HEADERS | more).items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            if refusal := _too_long(scope):
                await refusal(scope, receive, send_with_headers)
            else:
                await self.app(inner, receive, send_with_headers)
        except ClientDisconnect:
            status = CLIENT_GONE
        except Exception:
            log.exception("a request failed")
            if status:
                raise
            sentence = f"Something went wrong here; report it with the id {correlation}."
            reply = error_response(500, sentence)
            await reply(scope, receive, send_with_headers)
        finally:
            _record(scope["method"], inner, status, time.perf_counter() - started)
            correlation_id.reset(token)


def _too_long(scope: Scope) -> Response | None:
    """The refusal of what no call of ours needs."""
    if len(scope["raw_path"]) > MAX_PATH:
        return error_response(414, f"The path is {MAX_PATH} bytes at most; send shorter ids.")
    if len(scope["query_string"]) > MAX_QUERY:
        return error_response(414, f"The query is {MAX_QUERY} bytes at most.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MAX_HEADERS:
        return error_response(431, f"The headers are {MAX_HEADERS} bytes at most.")
    return None


def _record(method: str, scope: Scope, status: int, seconds: float) -> None:
    route = _route(scope)
    method = method if method in _METHODS else "(other)"
    REQUESTS.labels(method, route, status).inc()
    SECONDS.labels(route).observe(seconds)
    state = scope.get("state", {})
    client = scope.get("client")
    access_log.log(
        logging.DEBUG if route in PROBES else logging.INFO,
        "request",
        extra={
            "method": method,
            "route": route.replace("{webapi_key}", "[redacted]"),
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "user_id": state.get("user_id", ""),  # of callers that proved who they are
            "device_id": state.get("device_id", ""),
            "client": client[0] if client else "",
        },
    )


def _route(scope: Scope) -> str:
    path: str | None = getattr(scope.get("route"), "path", None)
    if path:
        return path
    return scope["path"] if scope["path"] in FIXED_PATHS else NO_ROUTE
