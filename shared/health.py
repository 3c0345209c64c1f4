"""`/healthz`, `/readyz` and `/metrics`, the same for every service."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

log = logging.getLogger(__name__)

CHECK_SECONDS = 5.0
OK = "ok"

Check = Callable[[], Awaitable[object]]


class NotReady(Exception):
    """A check fails for a reason of our own, which `/readyz` shows to everybody."""


def health_routes(checks: Callable[[], Mapping[str, Check]]) -> list[Route]:
    """Routes for a Starlette or FastAPI application.

    `checks` is asked on each request, so that it may look at what the lifespan opened. A check
    passes when it returns within 5 s without raising.
    """

    async def healthz(_request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def readyz(_request: Request) -> Response:
        named = checks()
        results = await asyncio.gather(*(_answer(name, check) for name, check in named.items()))
        ready = all(result == OK for result in results)
        return JSONResponse(
            {
                "status": "ready" if ready else "not ready",
                "checks": dict(zip(named, results, strict=True)),
            },
            status_code=200 if ready else 503,
        )

    async def metrics(_request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return [Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)]


async def _answer(name: str, check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except NotReady as reason:
        return str(reason)
    except Exception as error:
        log.warning(
            "readiness check fails",
            extra={"check": name, "error": f"{type(error).__name__}: {error}"},
        )
        return "failing"
    return OK
