"""Connections whose reply was cut off: uvicorn waits until a reader has taken what is left."""

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class CutOff:
    """Around the whole application: drops what its side still holds of a reply that ended early.

    A reader that takes nothing would keep its connection for ever, and come back for another.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI; `send` must be uvicorn's own."""
        try:
            await self.app(scope, receive, send)
        finally:
            cycle = getattr(send, "__self__", None)
            if isinstance(cycle, RequestResponseCycle) and _ended_early(cycle):
                cycle.transport.abort()


def _ended_early(cycle: RequestResponseCycle) -> bool:
    return cycle.response_started and not cycle.response_complete
