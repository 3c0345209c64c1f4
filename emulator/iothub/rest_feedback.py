"""REST routes of feedback on cloud-to-device messages. The lock token is the ETag."""

from typing import TYPE_CHECKING

from aiohttp import web

from emulator.iothub import clock
from emulator.iothub.errors import precondition_failed
from emulator.iothub.feedback import CONTENT_TYPE

if TYPE_CHECKING:
    from emulator.iothub.hub import IotHub


async def receive(hub: "IotHub", _request: web.Request) -> web.Response:
    """Up to 64 records, locked for a minute; 204 where there are none."""
    batch = hub.feedback.receive()
    if batch is None:
        return web.Response(status=204)
    headers = {
        "ETag": f'"{batch.lock_token}"',
        "Content-Type": CONTENT_TYPE,
        "iothub-enqueuedtime": clock.iso(batch.enqueued),
        "iothub-messageid": batch.lock_token,
    }
    return web.Response(body=batch.body, headers=headers)


async def complete(hub: "IotHub", request: web.Request) -> web.Response:
    """Delete what was received."""
    if not hub.feedback.complete(request.match_info["token"]):
        raise precondition_failed("the lock is lost; receive again")
    return web.Response(status=204)


async def abandon(hub: "IotHub", request: web.Request) -> web.Response:
    """Give back what was received."""
    if not hub.feedback.abandon(request.match_info["token"]):
        raise precondition_failed("the lock is lost; receive again")
    return web.Response(status=204)
